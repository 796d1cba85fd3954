/** A task that is still to be sent. Its key makes sending it twice the same as once. */
export interface Letter {
  key: string;
  data: string;
  at: number;
  /** How often the service has answered and not taken it; `MAX_TRIES`: it was stepped over. */
  tries?: number;
}

/** A part of the browser's storage, shared by all tabs. */
export interface Shelf {
  names(): string[];
  load(name: string): string | null;
  /** False where the storage is full or forbidden. */
  save(name: string, value: string): boolean;
  remove(name: string): void;
}

/** Enough for an error that passes, while later tasks wait a few seconds at most. */
export const MAX_TRIES = 5;
/** More than a person sends; a page that would keep more has another problem. */
export const MAX_LETTERS = 100;
/** Of text in all: browsers give a page about 5 million, and the list of tasks wants some too. */
export const MAX_CHARACTERS = 2_000_000;

/**
 * What is still to be sent, each letter under a name of its own, so that tabs which write at a time undo nothing of
 * each other's. What storage does not take is held here, for as long as the page is open.
 */
export class Letters {
  readonly #held = new Map<string, Letter>();

  constructor(private readonly shelf: Shelf) {}

  /** Some letters would not outlive the page. */
  get fleeting(): boolean {
    return [...this.#held.keys()].some((key) => this.shelf.load(key) === null);
  }

  /** Oldest first. */
  all(): Letter[] {
    const kept = this.shelf.names().flatMap((name) => asLetter(this.shelf.load(name)) ?? []);
    const byKey = new Map([...kept, ...this.#held.values()].map((letter) => [letter.key, letter]));
    return [...byKey.values()].sort((a, b) => a.at - b.at);
  }

  /** Those to be sent, oldest first. */
  waiting(): Letter[] {
    return this.all().filter((letter) => !isUnsent(letter));
  }

  /** Those that were stepped over, oldest first. */
  unsent(): Letter[] {
    return this.all().filter(isUnsent);
  }

  /** False where there are too many to take another. */
  add(letter: Letter): boolean {
    const value = JSON.stringify(letter);
    const lengths = [
      ...this.shelf.names().map((name) => this.shelf.load(name)?.length ?? 0),
      ...[...this.#held.values()].map(({ data }) => data.length),
    ];
    const characters = lengths.reduce((sum, length) => sum + length, value.length);
    if (lengths.length >= MAX_LETTERS || characters > MAX_CHARACTERS) return false;
    if (!this.shelf.save(letter.key, value)) this.#held.set(letter.key, letter);
    return true;
  }

  /** Writes down its tries; one that was removed meanwhile, in whichever tab, stays so. */
  update(letter: Letter): void {
    const { key } = letter;
    if (!this.#held.has(key) && this.shelf.load(key) === null) return;
    if (this.shelf.load(key) !== null && this.shelf.save(key, JSON.stringify(letter))) this.#held.delete(key);
    else this.#held.set(key, letter);
  }

  remove({ key }: Pick<Letter, "key">): void {
    this.#held.delete(key);
    this.shelf.remove(key);
  }
}

export function triesOf({ tries }: Letter): number {
  return typeof tries === "number" ? tries : 0;
}

/** Stepped over: it is kept, and sent when a person asks for it. */
export function isUnsent(letter: Letter): boolean {
  return triesOf(letter) >= MAX_TRIES;
}

function asLetter(value: string | null): Letter | null {
  try {
    const letter = JSON.parse(value ?? "null") as Partial<Letter> | null;
    const complete =
      typeof letter?.key === "string" && typeof letter.data === "string" && typeof letter.at === "number";
    return complete ? (letter as Letter) : null;
  } catch {
    return null;
  }
}

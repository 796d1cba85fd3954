/** A task that is still to be sent. Its key makes sending it twice the same as once. */
export interface Letter {
  key: string;
  data: string;
  at: number;
}

/** A part of the browser's storage, shared by all tabs. */
export interface Shelf {
  names(): string[];
  load(name: string): string | null;
  /** False where the storage is full or forbidden. */
  save(name: string, value: string): boolean;
  remove(name: string): void;
}

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
    return this.#held.size > 0;
  }

  /** Oldest first. */
  all(): Letter[] {
    const kept = this.shelf.names().flatMap((name) => asLetter(this.shelf.load(name)) ?? []);
    return [...kept, ...this.#held.values()].sort((a, b) => a.at - b.at);
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

  remove({ key }: Letter): void {
    this.#held.delete(key);
    this.shelf.remove(key);
  }
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

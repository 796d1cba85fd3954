/** A set of keys of a bounded size: the oldest go first. */
export class RecentKeys {
  #keys = new Set<string>();

  constructor(private readonly max: number) {}

  /** True where the key is new. */
  add(key: string): boolean {
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    this.#trim();
    return true;
  }

  addOlder(keys: Iterable<string>): void {
    this.#keys = new Set([...keys, ...this.#keys]);
    this.#trim();
  }

  all(): string[] {
    return [...this.#keys];
  }

  clear(): void {
    this.#keys.clear();
  }

  #trim(): void {
    for (const oldest of this.#keys) {
      if (this.#keys.size <= this.max) return;
      this.#keys.delete(oldest);
    }
  }
}

import type { KeyValueStore } from "../internal/key-value-store";

/** Storage that can be full. */
export class FakeKeyValueStore implements KeyValueStore {
  readonly values = new Map<string, string>();
  /** The keys that were saved or removed, in order. */
  readonly writes: string[] = [];
  full = false;

  keys(): string[] {
    return [...this.values.keys()];
  }

  load(key: string): string | null {
    return this.values.get(key) ?? null;
  }

  save(key: string, value: string): boolean {
    if (this.full) return false;
    this.writes.push(key);
    this.values.set(key, value);
    return true;
  }

  remove(key: string): void {
    this.writes.push(key);
    this.values.delete(key);
  }
}

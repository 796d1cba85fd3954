import type { Shelf } from "../letters";

/** Storage that can be full. */
export class FakeShelf implements Shelf {
  readonly kept = new Map<string, string>();
  readonly written: string[] = [];
  full = false;

  names(): string[] {
    return [...this.kept.keys()];
  }

  load(name: string): string | null {
    return this.kept.get(name) ?? null;
  }

  save(name: string, value: string): boolean {
    if (this.full) return false;
    this.written.push(name);
    this.kept.set(name, value);
    return true;
  }

  remove(name: string): void {
    this.written.push(name);
    this.kept.delete(name);
  }
}

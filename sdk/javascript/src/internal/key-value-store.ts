/** One value in storage that survives page loads. It belongs to one user. */
export interface StoredValue {
  load(): string | null;
  save(value: string): void;
  clear(): void;
}

/** Named values in storage, shared by all tabs of a user. */
export interface KeyValueStore {
  keys(): string[];
  load(key: string): string | null;
  /** False where the storage is full or blocked. */
  save(key: string, value: string): boolean;
  remove(key: string): void;
}

/** Counts, in the page's title, the news that came while nobody looked. */
export class PageTitle {
  #count = 0;
  readonly #plain = document.title;

  add(): void {
    if (document.visibilityState === "visible") return;
    this.#count += 1;
    this.#show();
  }

  reset(): void {
    this.#count = 0;
    this.#show();
  }

  #show(): void {
    document.title = this.#count === 0 ? this.#plain : `(${this.#count}) ${this.#plain}`;
  }
}

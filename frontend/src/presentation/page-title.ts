import { isVisible } from "../platform/page-events";

/** Shows in the page's title how many notifications arrived while the page was hidden. */
export class PageTitle {
  #count = 0;
  readonly #title = document.title;

  increment(): void {
    if (isVisible()) return;
    this.#count += 1;
    this.#show();
  }

  reset(): void {
    this.#count = 0;
    this.#show();
  }

  #show(): void {
    document.title = this.#count === 0 ? this.#title : `(${this.#count}) ${this.#title}`;
  }
}

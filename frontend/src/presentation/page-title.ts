/** Shows in the page's title how many notifications are unread. */
export class PageTitle {
  readonly #title = document.title;

  show(count: number): void {
    document.title = count === 0 ? this.#title : `(${count}) ${this.#title}`;
  }
}

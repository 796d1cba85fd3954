import { NotificationError } from "./errors";

/**
 * The absolute form of an API's base URL, ending in a slash. "/", "/api" and "" are relative to the page.
 *
 * @throws NotificationError `invalid_url` where there is no page, or it is not a URL of HTTP.
 */
export function resolveBaseUrl(url: string): string {
  const base = `${url.replace(/\/+$/, "")}/`;
  const page = (globalThis as Partial<typeof globalThis>).location?.href;
  if (!URL.canParse(base, page))
    throw new NotificationError(
      "invalid_url",
      `There is no page to which the URL "${url}" is relative: make it absolute`,
    );
  const { href, protocol } = new URL(base, page);
  if (protocol === "http:" || protocol === "https:") return href;
  throw new NotificationError("invalid_url", `The URL "${url}" does not start with http:// or https://`);
}

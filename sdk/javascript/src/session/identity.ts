import { NotificationError } from "../api/errors";
import { idToken, TIMEOUT_MS, type GetIdToken, type Http } from "../api/http";

/** The user whom the first id token names. Another user's token counts as none: it must not act for this one. */
export class Identity {
  #subject: string | undefined;
  readonly #getIdToken: GetIdToken;

  constructor(getIdToken: GetIdToken) {
    this.#getIdToken = getIdToken;
  }

  readonly getIdToken: GetIdToken = async (options) => {
    const token = await this.#getIdToken(options);
    if (token === null) return null;
    const subject = subjectOf(token);
    this.#subject ??= subject;
    return subject === this.#subject ? token : null;
  };

  /**
   * The user's id.
   *
   * @throws SignedOutError where there is no id token; NotificationError `id_token` where it names no user.
   */
  async userId(http: Http): Promise<string> {
    await idToken(http, false, AbortSignal.timeout(TIMEOUT_MS));
    if (this.#subject !== undefined) return this.#subject;
    throw new NotificationError("id_token", "The id token has no `sub`: set the option `userId`");
  }
}

/** The `sub` of a JSON Web Token; undefined where it is not one. */
function subjectOf(token: string): string | undefined {
  try {
    const payload = token.split(".")[1] ?? "";
    const { sub } = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/"))) as { sub?: unknown };
    return typeof sub === "string" && sub !== "" ? sub : undefined;
  } catch {
    return undefined;
  }
}

import { shallowRef, type ShallowRef } from "vue";
import { configureAuth, currentUser, endSession, onSignedIn, type User } from "../auth/cognito-session";
import { loadConfig, type Config } from "../platform/config";
import { SESSION_EXPIRED } from "../text/status-text";
import { UserSession } from "./user-session";

export type View =
  | { name: "loading" }
  | { name: "failed"; reason: string }
  | { name: "signed-out"; config: Config; notice: string | null }
  | { name: "signed-in"; user: User; session: UserSession };

/** Which screen the application shows, and the transitions between them. */
export class Navigation {
  readonly view: ShallowRef<View> = shallowRef({ name: "loading" });
  #config: Config | undefined;

  constructor() {
    onSignedIn(() => {
      if (this.view.value.name === "signed-out") void this.load();
    });
  }

  /** `notice` is shown above the sign-in form. */
  async load(notice: string | null = null): Promise<void> {
    try {
      const config = (this.#config ??= await this.#configure());
      const user = await currentUser();
      if (this.view.value.name === "signed-in") return; // by another call
      if (user === null) this.view.value = { name: "signed-out", config, notice };
      else this.#openSession(user, config);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.view.value = { name: "failed", reason };
    }
  }

  retry(): void {
    this.view.value = { name: "loading" };
    void this.load();
  }

  async signOut(): Promise<void> {
    const { view } = this;
    if (view.value.name !== "signed-in") return;
    await view.value.session.signOut();
    this.view.value = { name: "loading" };
    await this.load();
  }

  async #configure(): Promise<Config> {
    const config = await loadConfig();
    configureAuth(config);
    return config;
  }

  /** Shows the sign-in form only once no token is left: otherwise it would find one and stay empty. */
  async #onSessionEnded(user: User, config: Config, expired: boolean): Promise<void> {
    this.view.value = { name: "loading" };
    if (expired) await endSession(user.id, config);
    await this.load(expired ? SESSION_EXPIRED : null); // another user may have signed in meanwhile
  }

  #openSession(user: User, config: Config): void {
    const session = new UserSession(config, user, (expired) => void this.#onSessionEnded(user, config, expired));
    this.view.value = { name: "signed-in", user, session };
    session.open();
  }
}

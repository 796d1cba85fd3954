import { shallowRef, type ShallowRef } from "vue";
import { configureAuth, currentUser, endSession, onSignedIn, type User } from "../auth/session";
import { loadConfig, type Config } from "./config";
import { SESSION_EXPIRED } from "./words";
import { Workspace } from "./workspace";

export type View =
  | { name: "loading" }
  | { name: "broken"; reason: string }
  | { name: "signed-out"; config: Config; notice: string | null }
  | { name: "signed-in"; user: User; workspace: Workspace };

/** Which of its screens the page shows, and what leads from one to another. */
export class Page {
  readonly view: ShallowRef<View> = shallowRef({ name: "loading" });
  #config: Config | undefined;

  constructor() {
    onSignedIn(() => {
      if (this.view.value.name === "signed-out") void this.load();
    });
  }

  /** `notice`: what to say where nobody is signed in. */
  async load(notice: string | null = null): Promise<void> {
    try {
      const config = (this.#config ??= await this.#configure());
      const user = await currentUser();
      if (this.view.value.name === "signed-in") return; // by another call
      if (user === null) this.view.value = { name: "signed-out", config, notice };
      else this.#showWorkspace(user, config);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.view.value = { name: "broken", reason };
    }
  }

  retry(): void {
    this.view.value = { name: "loading" };
    void this.load();
  }

  async signOut(): Promise<void> {
    const { view } = this;
    if (view.value.name !== "signed-in") return;
    await view.value.workspace.signOut();
    this.view.value = { name: "loading" };
    await this.load();
  }

  async #configure(): Promise<Config> {
    const config = await loadConfig();
    configureAuth(config);
    return config;
  }

  /** The sign-in screens are shown when no token is left: else they would find one, and show nothing. */
  async #over(user: User, config: Config, expired: boolean): Promise<void> {
    this.view.value = { name: "loading" };
    if (expired) await endSession(user.id, config);
    await this.load(expired ? SESSION_EXPIRED : null); // the browser may be somebody else's by now
  }

  #showWorkspace(user: User, config: Config): void {
    const workspace = new Workspace(config, user, (expired) => void this.#over(user, config, expired));
    this.view.value = { name: "signed-in", user, workspace };
    workspace.open();
  }
}

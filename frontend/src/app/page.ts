import { shallowRef, type ShallowRef } from "vue";
import { configureAuth, currentUser, onSignedIn, signOut, type User } from "../auth/session";
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

  async load(): Promise<void> {
    try {
      this.#config ??= await this.#configure();
      const user = await currentUser();
      if (user === null) this.#showSignIn(null);
      else this.#showWorkspace(user, this.#config);
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
    view.value.workspace.signOut();
    this.#showSignIn(null);
    await signOut();
  }

  async #configure(): Promise<Config> {
    const config = await loadConfig();
    configureAuth(config);
    return config;
  }

  /** What is left of the session is of no use; but the browser may be somebody else's by now. */
  async #leave(user: User): Promise<void> {
    const now = await currentUser().catch(() => null);
    if (now === null || now.id === user.id) await signOut();
    else await this.load();
  }

  #showSignIn(notice: string | null): void {
    if (this.#config !== undefined) this.view.value = { name: "signed-out", config: this.#config, notice };
  }

  #showWorkspace(user: User, config: Config): void {
    const over = (expired: boolean): void => {
      this.#showSignIn(expired ? SESSION_EXPIRED : null);
      if (expired) void this.#leave(user);
    };
    const workspace = new Workspace(config, user, over);
    this.view.value = { name: "signed-in", user, workspace };
    workspace.open();
  }
}

import { Amplify } from "aws-amplify";
import { fetchAuthSession, signOut as amplifySignOut } from "aws-amplify/auth";
import { cognitoUserPoolsTokenProvider } from "aws-amplify/auth/cognito";
import { Hub } from "aws-amplify/utils";
import type { Config } from "../app/config";
import type { GetIdToken } from "../client";
import { refreshWithDeadline } from "./refresh";
import { revoke } from "./revoke";

const { tokenOrchestrator } = cognitoUserPoolsTokenProvider;

export interface User {
  /** Cognito's `sub`: what the system knows the user by. */
  id: string;
  name: string;
}

export function configureAuth({ userPoolId, userPoolClientId, cognitoEndpoint }: Config): void {
  const endpoint = cognitoEndpoint ? { userPoolEndpoint: cognitoEndpoint } : {};
  Amplify.configure({ Auth: { Cognito: { userPoolId, userPoolClientId, ...endpoint } } });
  refreshWithDeadline();
}

/**
 * The id token of this user and no other: another tab may have signed somebody else in. Null where the session
 * is over. Rejects where only the network is at fault.
 */
export function idTokenOf(userId: string): GetIdToken {
  return async ({ refresh }) => {
    const { tokens } = await fetchAuthSession({ forceRefresh: refresh });
    const idToken = tokens?.idToken;
    return idToken?.payload.sub === userId ? idToken.toString() : null;
  };
}

export async function currentUser(): Promise<User | null> {
  const { tokens } = await fetchAuthSession();
  const payload = tokens?.idToken?.payload;
  if (typeof payload?.sub !== "string") return null;
  return { id: payload.sub, name: typeof payload["email"] === "string" ? payload["email"] : payload.sub };
}

/**
 * Forgets the tokens of this user, though not of another who signed in meanwhile. Waits for no server: Amplify's
 * own sign-out keeps the tokens until Cognito has answered.
 */
export async function endSession(userId: string, config: Config): Promise<void> {
  const stored = await tokenOrchestrator.getTokenStore().loadTokens();
  if (stored !== null && stored.idToken?.payload.sub !== userId) return;
  await tokenOrchestrator.clearTokens();
  await amplifySignOut(); // has nothing left to send, and tells the sign-in screens
  if (stored?.refreshToken !== undefined) void revoke(config, stored.refreshToken);
}

/** Calls the listener when somebody signs in, here or in another tab. */
export function onSignedIn(listener: () => void): void {
  Hub.listen("auth", ({ payload }) => {
    if (payload.event === "signedIn") listener();
  });
  addEventListener("storage", ({ key, newValue }) => {
    if (key?.endsWith(".idToken") && newValue !== null) listener();
  });
}

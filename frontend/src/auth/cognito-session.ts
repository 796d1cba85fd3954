import { Amplify } from "aws-amplify";
import { fetchAuthSession, signOut as amplifySignOut } from "aws-amplify/auth";
import { cognitoUserPoolsTokenProvider } from "aws-amplify/auth/cognito";
import { Hub } from "aws-amplify/utils";
import type { GetIdToken } from "notification-api-client";
import type { Config } from "../platform/config";
import { refreshWithTimeout } from "./refresh";
import { revoke } from "./revoke";

const { tokenOrchestrator } = cognitoUserPoolsTokenProvider;

export interface User {
  /** Cognito's `sub`, which is the user's id everywhere in the system. */
  id: string;
  name: string;
}

export function configureAuth({ userPoolId, userPoolClientId, cognitoEndpoint }: Config): void {
  const endpoint = cognitoEndpoint ? { userPoolEndpoint: cognitoEndpoint } : {};
  Amplify.configure({ Auth: { Cognito: { userPoolId, userPoolClientId, ...endpoint } } });
  refreshWithTimeout();
}

/**
 * The id token of this user only: another tab may have signed in another user. Null where the session has expired.
 * Rejects where only the network failed.
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
 * Removes this user's tokens, but not those of another user who has signed in meanwhile. It waits for no server, where
 * Amplify's own sign-out keeps the tokens until Cognito has answered.
 */
export async function endSession(userId: string, config: Config): Promise<void> {
  const stored = await tokenOrchestrator.getTokenStore().loadTokens();
  if (stored !== null && stored.idToken?.payload.sub !== userId) return;
  await tokenOrchestrator.clearTokens();
  await amplifySignOut(); // without tokens it sends nothing, and only resets the sign-in screens
  if (stored?.refreshToken !== undefined) void revoke(config, stored.refreshToken);
}

/** Calls the listener when a user signs in, in this tab or another one. */
export function onSignedIn(listener: () => void): void {
  Hub.listen("auth", ({ payload }) => {
    if (payload.event === "signedIn") listener();
  });
  addEventListener("storage", ({ key, newValue }) => {
    if (key?.endsWith(".idToken") && newValue !== null) listener();
  });
}

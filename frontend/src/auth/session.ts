import { Amplify } from "aws-amplify";
import { fetchAuthSession, signOut as amplifySignOut } from "aws-amplify/auth";
import { Hub } from "aws-amplify/utils";
import type { Config } from "../app/config";
import type { GetIdToken } from "../client";

export interface User {
  /** Cognito's `sub`: what the system knows the user by. */
  id: string;
  name: string;
}

export function configureAuth({ userPoolId, userPoolClientId, cognitoEndpoint }: Config): void {
  const endpoint = cognitoEndpoint ? { userPoolEndpoint: cognitoEndpoint } : {};
  Amplify.configure({ Auth: { Cognito: { userPoolId, userPoolClientId, ...endpoint } } });
}

/** Null where nobody is signed in, or the session is over. Rejects where only the network is at fault. */
export const getIdToken: GetIdToken = async ({ refresh }) => {
  const { tokens } = await fetchAuthSession({ forceRefresh: refresh });
  return tokens?.idToken?.toString() ?? null;
};

export async function currentUser(): Promise<User | null> {
  const { tokens } = await fetchAuthSession();
  const payload = tokens?.idToken?.payload;
  if (typeof payload?.sub !== "string") return null;
  return { id: payload.sub, name: typeof payload["email"] === "string" ? payload["email"] : payload.sub };
}

/** Forgets the tokens here in any case; tells Cognito too where it can be reached. */
export async function signOut(): Promise<void> {
  await amplifySignOut();
}

/** Returns a function that stops listening. */
export function onSignedIn(listener: () => void): () => void {
  return Hub.listen("auth", ({ payload }) => {
    if (payload.event === "signedIn") listener();
  });
}

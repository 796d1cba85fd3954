import { cognitoUserPoolsTokenProvider, refreshAuthTokensWithoutDedupe } from "aws-amplify/auth/cognito";

const { tokenOrchestrator } = cognitoUserPoolsTokenProvider;

type Refresh = typeof refreshAuthTokensWithoutDedupe;

/** Amplify itself waits for as long as the browser does: minutes, where a connection is dead and nobody says so. */
const DEADLINE_MS = 10_000;

/** Puts `refresher` in the place of Amplify's own. */
export function refreshWithDeadline(): void {
  tokenOrchestrator.setTokenRefresher(
    refresher(refreshAuthTokensWithoutDedupe, async () => {
      const stored = await tokenOrchestrator.getTokenStore().loadTokens();
      return stored?.refreshToken;
    }),
  );
}

/**
 * Asks for fresh tokens, once for all who ask at a time. They are refused where the stored refresh token is
 * another by the time they come: to write them down would undo a sign-out, or somebody else's sign-in.
 */
export function refresher(refresh: Refresh, storedRefreshToken: () => Promise<string | undefined>): Refresh {
  let current: ReturnType<Refresh> | undefined;
  const once: Refresh = async (input) => {
    const fresh = await withDeadline(refresh(input));
    if ((await storedRefreshToken()) === input.tokens.refreshToken) return fresh;
    throw new DOMException("The session has changed meanwhile.", "AbortError");
  };
  return (input) => (current ??= once(input).finally(() => (current = undefined)));
}

function withDeadline<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new DOMException("The sign-in service does not answer.", "TimeoutError"));
    const timer = setTimeout(late, DEADLINE_MS);
    void promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

import { cognitoUserPoolsTokenProvider, refreshAuthTokensWithoutDedupe } from "aws-amplify/auth/cognito";

const { tokenOrchestrator } = cognitoUserPoolsTokenProvider;

type Refresh = typeof refreshAuthTokensWithoutDedupe;

/** Amplify has no timeout of its own, and a browser waits for minutes on a dead connection. */
const TIMEOUT_MS = 10_000;

/** Replaces Amplify's own token refresher. */
export function refreshWithTimeout(): void {
  tokenOrchestrator.setTokenRefresher(
    createRefresher(refreshAuthTokensWithoutDedupe, async () => {
      const stored = await tokenOrchestrator.getTokenStore().loadTokens();
      return stored?.refreshToken;
    }),
  );
}

/**
 * Requests new tokens, once for all concurrent callers. They are discarded where the stored refresh token has changed
 * meanwhile: storing them would undo a sign-out, or another user's sign-in.
 */
export function createRefresher(refresh: Refresh, storedRefreshToken: () => Promise<string | undefined>): Refresh {
  let current: ReturnType<Refresh> | undefined;
  const once: Refresh = async (input) => {
    const fresh = await withTimeout(refresh(input));
    if ((await storedRefreshToken()) === input.tokens.refreshToken) return fresh;
    throw new DOMException("The session has changed meanwhile.", "AbortError");
  };
  return (input) => (current ??= once(input).finally(() => (current = undefined)));
}

function withTimeout<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new DOMException("The sign-in service does not answer.", "TimeoutError"));
    const timer = setTimeout(late, TIMEOUT_MS);
    void promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

import type { Config } from "../app/config";

/** The answer changes nothing here: past this, nobody waits for it. */
const DEADLINE_MS = 10_000;

/** Tells Cognito that this refresh token is worth nothing any more, as well as can be; outlives the page. */
export async function revoke({ cognitoEndpoint, region, userPoolClientId }: Config, token: string): Promise<void> {
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "AWSCognitoIdentityProviderService.RevokeToken",
  };
  const body = JSON.stringify({ ClientId: userPoolClientId, Token: token });
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const endpoint = cognitoEndpoint ?? `https://cognito-idp.${region}.amazonaws.com/`;
  await fetch(endpoint, { method: "POST", headers, body, signal, keepalive: true }).catch(() => undefined);
}

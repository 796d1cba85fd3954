import type { Config } from "../platform/config";

const TIMEOUT_MS = 10_000;

/** Asks Cognito to revoke the refresh token. The request outlives the page; its failure is ignored. */
export async function revoke({ cognitoEndpoint, region, userPoolClientId }: Config, token: string): Promise<void> {
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "AWSCognitoIdentityProviderService.RevokeToken",
  };
  const body = JSON.stringify({ ClientId: userPoolClientId, Token: token });
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const endpoint = cognitoEndpoint ?? `https://cognito-idp.${region}.amazonaws.com/`;
  await fetch(endpoint, { method: "POST", headers, body, signal, keepalive: true }).catch(() => undefined);
}

/** What the page is told about its surroundings by `/config.json`. */
export interface Config {
  /** Address of the token service; its routes are below. */
  tokenUrl: string;
  /** Address of the ingest service. */
  taskUrl: string;
  region: string;
  userPoolId: string;
  userPoolClientId: string;
  /** Only where Cognito is not the public service. */
  cognitoEndpoint?: string | null;
  /** The ingest service's `MAX_BODY_BYTES`, where it is not the default. */
  maxBodyBytes?: number;
}

const REQUIRED = ["tokenUrl", "taskUrl", "region", "userPoolId", "userPoolClientId"] as const;

/** @throws Error in words for a person, naming every field that is missing. */
export async function loadConfig(fetchIt: typeof fetch = fetch): Promise<Config> {
  const answer = await fetchIt("/config.json", { cache: "no-cache", signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`The page's settings cannot be read: /config.json answered ${answer.status}.`);
  const config = (await answer.json()) as Partial<Config>;
  const missing = REQUIRED.filter((name) => typeof config[name] !== "string" || config[name] === "");
  if (missing.length > 0) throw new Error(`The page's settings are incomplete: ${missing.join(", ")}.`);
  const { maxBodyBytes } = config;
  if (maxBodyBytes !== undefined && !(Number.isInteger(maxBodyBytes) && maxBodyBytes > 0))
    throw new Error("The page's settings are wrong: maxBodyBytes must be a whole number of bytes, or left out.");
  return config as Config;
}

/** `/token` below `http://host`, with or without a slash or a path of its own. */
export function route(serviceUrl: string, path: string): string {
  return `${serviceUrl.replace(/\/+$/, "")}/${path}`;
}

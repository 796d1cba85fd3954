/** The application's settings, which the server gives it in `/config.json`. */
export interface Config {
  /** Base URL of the API: absolute, or relative to the page. */
  apiUrl: string;
  region: string;
  userPoolId: string;
  userPoolClientId: string;
  /** Only where it is not the public Cognito of `region`. */
  cognitoEndpoint?: string | null;
  /** The ingest service's `MAX_BODY_BYTES`, where it is not the default. */
  maxBodyBytes?: number;
  /** The ingest service's `TASK_TYPES`, of which the user selects one; left out or empty: `default` alone. */
  taskTypes?: string[];
}

/** The ingest service's default for `MAX_BODY_BYTES`. */
export const DEFAULT_MAX_BODY_BYTES = 262_144;

const REQUIRED = ["apiUrl", "region", "userPoolId", "userPoolClientId"] as const;

/** @throws Error with a message for the user, naming every missing setting. */
export async function loadConfig(fetchConfig: typeof fetch = fetch): Promise<Config> {
  const answer = await fetchConfig("/config.json", { cache: "no-cache", signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`The application's settings cannot be read: /config.json answered ${answer.status}.`);
  const config = (await answer.json()) as Partial<Config>;
  const missing = REQUIRED.filter((name) => typeof config[name] !== "string" || config[name] === "");
  if (missing.length > 0) throw new Error(`The application's settings are incomplete: ${missing.join(", ")}.`);
  const { maxBodyBytes } = config;
  if (maxBodyBytes !== undefined && !(Number.isInteger(maxBodyBytes) && maxBodyBytes > 0))
    throw new Error("The application's settings are wrong: maxBodyBytes must be a whole number of bytes, or left out.");
  if (!isTypes(config.taskTypes))
    throw new Error("The application's settings are wrong: taskTypes must be a list of names, or left out.");
  return config as Config;
}

/** The largest request body of one task, in bytes. */
export function maxBodyBytesOf({ maxBodyBytes }: Config): number {
  return maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
}

function isTypes(value: unknown): boolean {
  return (
    value === undefined || (Array.isArray(value) && value.every((type) => typeof type === "string" && type !== ""))
  );
}

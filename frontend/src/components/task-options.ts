import type { TaskOptions } from "notification-api-client";

/** What the form offers, in seconds. */
export const DELAYS: readonly (readonly [number, string])[] = [
  [0, "At once"],
  [10, "In 10 seconds"],
  [60, "In 1 minute"],
  [300, "In 5 minutes"],
  [900, "In 15 minutes"],
];
export const EXPIRIES: readonly (readonly [number, string])[] = [
  [0, "Never"],
  [60, "After 1 minute"],
  [900, "After 15 minutes"],
  [3_600, "After 1 hour"],
  [86_400, "After 24 hours"],
];

/** The button's text: what is set shows also while the options are closed. */
export function optionsText({ delaySeconds, ttlSeconds }: TaskOptions): string {
  const delay = DELAYS.find(([seconds]) => seconds === delaySeconds)?.[1].toLowerCase();
  const expiry = EXPIRIES.find(([seconds]) => seconds === ttlSeconds)?.[1].toLowerCase();
  const set = [delay, expiry && `expires ${expiry}`].filter(Boolean).join(", ");
  return set === "" ? "Options" : `Options: ${set}`;
}

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createRefresher } from "./refresh";

type Refresh = Parameters<typeof createRefresher>[0];
type ConnectionEvent = Parameters<Refresh>[0];
type Tokens = Awaited<ReturnType<Refresh>>;

const input = { tokens: { refreshToken: "first" } } as ConnectionEvent;
const fresh = { clockDrift: 0, username: "alice" } as Tokens;
const never = new Promise<Tokens>(() => undefined);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("refreshed tokens", () => {
  test("are requested once for all concurrent callers", async () => {
    const ask = vi.fn<Refresh>(async () => fresh);
    const refresh = createRefresher(ask, async () => "first");
    expect(await Promise.all([refresh(input), refresh(input)])).toEqual([fresh, fresh]);
    expect(ask).toHaveBeenCalledTimes(1);
    await refresh(input);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  test("that arrive after a sign-out, or another user's sign-in, are discarded", async () => {
    for (const stored of [undefined, "another's"])
      await expect(
        createRefresher(
          async () => fresh,
          async () => stored,
        )(input),
      ).rejects.toThrow("changed meanwhile");
  });

  test("that never arrive time out, and can be requested again", async () => {
    const ask = vi.fn<Refresh>(() => never);
    const refresh = createRefresher(ask, async () => "first");
    const failed = expect(refresh(input)).rejects.toThrow("does not answer");
    await vi.advanceTimersByTimeAsync(10_000);
    await failed;
    ask.mockResolvedValue(fresh);
    await expect(refresh(input)).resolves.toBe(fresh);
  });
});

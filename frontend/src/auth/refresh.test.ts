import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { refresher } from "./refresh";

type Refresh = Parameters<typeof refresher>[0];
type Input = Parameters<Refresh>[0];
type Tokens = Awaited<ReturnType<Refresh>>;

const input = { tokens: { refreshToken: "first" } } as Input;
const fresh = { clockDrift: 0, username: "alice" } as Tokens;
const never = new Promise<Tokens>(() => undefined);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("fresh tokens", () => {
  test("are asked for once for all who ask at a time", async () => {
    const ask = vi.fn<Refresh>(async () => fresh);
    const refresh = refresher(ask, async () => "first");
    expect(await Promise.all([refresh(input), refresh(input)])).toEqual([fresh, fresh]);
    expect(ask).toHaveBeenCalledTimes(1);
    await refresh(input);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  test("that come after a sign-out, or another's sign-in, are refused", async () => {
    for (const stored of [undefined, "another's"])
      await expect(
        refresher(
          async () => fresh,
          async () => stored,
        )(input),
      ).rejects.toThrow("changed meanwhile");
  });

  test("that never come are not waited for, and may be asked for again", async () => {
    const ask = vi.fn<Refresh>(() => never);
    const refresh = refresher(ask, async () => "first");
    const failed = expect(refresh(input)).rejects.toThrow("does not answer");
    await vi.advanceTimersByTimeAsync(10_000);
    await failed;
    ask.mockResolvedValue(fresh);
    await expect(refresh(input)).resolves.toBe(fresh);
  });
});

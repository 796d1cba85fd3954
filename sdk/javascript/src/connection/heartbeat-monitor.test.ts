import { describe, expect, test } from "vitest";
import { FakeClock } from "../testing/fake-clock";
import { HeartbeatMonitor } from "./heartbeat-monitor";

describe("the heartbeat monitor", () => {
  function create(): { clock: FakeClock; monitor: HeartbeatMonitor; timeouts: () => number } {
    const clock = new FakeClock();
    let timeouts = 0;
    const monitor = new HeartbeatMonitor(
      clock,
      { initialMs: 45_000, minMs: 5_000, maxMs: 90_000 },
      () => (timeouts += 1),
    );
    return { clock, monitor, timeouts: () => timeouts };
  }

  test.each([
    ["before any interval is known", 0, 45_000],
    ["with frequent heartbeats", 1_000, 5_000],
    ["with the usual ones", 15_000, 45_000],
    ["with rare ones", 80_000, 90_000],
  ])("times out: %s", async (_, interval, timeout) => {
    const { clock, monitor, timeouts } = create();
    monitor.start();
    if (interval > 0) {
      clock.sleep(interval);
      monitor.heartbeat();
    }
    await clock.advance(timeout - 1);
    expect(timeouts()).toBe(0);
    await clock.advance(1);
    expect(timeouts()).toBe(1);
  });

  test("counts items as activity", async () => {
    const { clock, monitor, timeouts } = create();
    monitor.start();
    for (let passed = 0; passed < 200; passed += 1) {
      await clock.advance(10_000);
      monitor.activity();
    }
    expect(timeouts()).toBe(0);
  });

  test("reports nothing once stopped", async () => {
    const { clock, monitor, timeouts } = create();
    monitor.start();
    monitor.stop();
    monitor.check();
    await clock.advance(1e6);
    expect(timeouts()).toBe(0);
  });
});

import { describe, expect, test } from "vitest";
import { settle } from "../testing/fake-clock";
import { problemResponse } from "../testing/fake-service";
import { finished } from "../testing/fake-topic";
import { Harness } from "../testing/harness";
import { StreamError } from "../api/errors";
import type { Notification } from "../notifications/notification";

const MINUTE = 60_000;

const afters = (h: Harness): (string | null)[] =>
  h.service.requests.filter(({ path }) => path === "/notifications").map(({ after }) => after);

/** A discontinuity of the topic, after which the client fetches the history. */
async function gap(h: Harness): Promise<void> {
  h.topic.last.listener.gap();
  await settle();
}

async function loseStream(h: Harness): Promise<void> {
  h.topic.last.listener.ended(new StreamError("lost"));
  await settle();
}

describe("the cursor", () => {
  test("is sent back unchanged, and not in the first request", async () => {
    const h = new Harness();
    await h.live();
    await gap(h);
    await gap(h);
    expect(afters(h)).toEqual([null, "c1", "c2"]);
  });

  test("skips nothing that is stored late, whatever its time", async () => {
    const h = new Harness();
    h.service.history = [finished({ taskId: "a" })];
    const client = await h.live();
    h.service.history.push(finished({ taskId: "hours late", time: h.clock.now() - 5 * 60 * MINUTE }));
    await gap(h);
    client.stop();
    h.service.history.push(finished({ taskId: "later still", time: 1 }));
    await h.live();
    expect(h.notifications.map(({ taskId, source }) => [taskId, source])).toEqual([
      ["a", "catch-up"],
      ["hours late", "catch-up"],
      ["later still", "catch-up"],
    ]);
  });

  test("skips nothing because of a clock that is ahead", async () => {
    const h = new Harness();
    h.service.history = [finished({ taskId: "of a clock that is ahead", time: h.clock.now() + 60 * MINUTE })];
    await h.live();
    h.topic.last.item({ taskId: "live", time: h.clock.now() + 60 * MINUTE });
    h.service.history.push(finished({ taskId: "of a right clock", time: h.clock.now() }));
    await gap(h);
    expect(h.received).toEqual(["of a clock that is ahead", "live", "of a right clock"]);
  });

  test("of an earlier version, a time, is not sent, and nothing is emitted again", async () => {
    const h = new Harness();
    h.storage.value = JSON.stringify({ cursor: h.clock.now(), keys: ["a\nfinished"], plainText: false });
    h.service.history = [finished({ taskId: "a" }), finished({ taskId: "b", time: 1 })];
    await h.live();
    expect(afters(h)).toEqual([null]);
    expect(h.notifications).toMatchObject([{ taskId: "b", source: "catch-up" }]);
  });

  test.each(["", 7, null, undefined])(
    "that is invalid, %j, leads to a request for the whole history the next time too",
    async (cursor) => {
      const h = new Harness();
      h.service.reply("/notifications", Response.json({ notifications: [], cursor }));
      await h.live();
      await gap(h);
      expect(afters(h)).toEqual([null, null]);
    },
  );

  test("is optional: an earlier version of the service gives none", async () => {
    const h = new Harness();
    h.service.givesCursor = false;
    h.service.history = [finished({ taskId: "a" })];
    (await h.live()).stop();
    h.service.history.push(finished({ taskId: "b" }));
    await h.live();
    expect([afters(h), h.received]).toEqual([
      [null, null],
      ["a", "b"],
    ]);
  });

  test("that the service refuses is dropped, and the whole history is fetched once", async () => {
    const h = new Harness();
    h.service.history = [finished({ taskId: "a" })];
    const client = await h.live();
    h.service.invalidateCursors();
    h.service.history.push(finished({ taskId: "b" }));
    await gap(h);
    expect([afters(h), h.received, h.errors]).toEqual([[null, "c1", null], ["a", "b"], []]);
    client.stop();
    await h.live();
    expect(afters(h).at(-1)).toBe("c1"); // the new one
  });

  test("that is refused together with every other request causes no loop", async () => {
    const h = new Harness();
    await h.live();
    h.service.reply("/notifications", ...Array.from({ length: 3 }, () => problemResponse(400, "no")));
    h.service.history = [finished({ taskId: "a" })];
    await gap(h);
    expect([afters(h), h.errors.length]).toEqual([[null, "c1", null], 1]);
    await h.clock.advance(10_000);
    expect([afters(h), h.received]).toEqual([[null, "c1", null, null, null], ["a"]]);
  });

  test("does not advance when not everything was emitted", async () => {
    const h = new Harness();
    h.storage.value = JSON.stringify({ cursor: null, keys: [] });
    h.service.history = [finished({ taskId: "a" }), finished({ taskId: "b" })];
    const client = h.client();
    const remove = client.on("notification", () => client.stop());
    client.start();
    await settle();
    remove();
    client.start();
    await settle();
    expect([afters(h), h.received]).toEqual([
      [null, null],
      ["a", "b"],
    ]);
  });
});

describe("an answer without a list of notifications", () => {
  test("is an error: the request is repeated", async () => {
    const h = new Harness();
    h.service.reply("/notifications", Response.json({ cursor: "c9" }));
    h.service.history = [finished({ taskId: "a" })];
    await h.live();
    await h.clock.advance(2_000);
    expect([afters(h), h.received]).toEqual([[null, null], ["a"]]);
  });
});

describe("a service with a rate limit", () => {
  const busy = (): Response => problemResponse(429, "You read too often", { "retry-after": "30" });

  test("is asked again after its Retry-After, and not before, whatever else happens", async () => {
    const h = new Harness();
    h.service.reply("/notifications", busy());
    h.service.history = [finished({ taskId: "a" })];
    const client = await h.live();
    await gap(h);
    client.checkNow();
    client.setOnline(true);
    await h.clock.advance(10_000);
    await loseStream(h);
    await h.clock.advance(10_000);
    client.stop();
    client.start();
    await h.clock.advance(9_900);
    expect([afters(h), h.received]).toEqual([[null], []]);
    await h.clock.advance(1_000);
    expect([afters(h).length, h.received]).toEqual([2, ["a"]]);
  });

  test("has every Retry-After honoured", async () => {
    const h = new Harness();
    h.service.reply("/notifications", busy(), busy(), busy());
    h.service.history = [finished({ taskId: "a" })];
    await h.live();
    for (let passed = 0; passed < 90_000; passed += 5_000) {
      await h.clock.advance(5_000);
      h.topic.last.heartbeat();
    }
    expect([afters(h).length, h.received]).toEqual([3, []]);
    await h.clock.advance(4_000);
    expect([afters(h).length, h.received]).toEqual([4, ["a"]]);
  });

  test("is asked again in time by a machine whose clock is set back meanwhile", async () => {
    const h = new Harness();
    h.service.reply("/notifications", busy());
    await h.live();
    h.clock.sleep(-60 * MINUTE);
    await h.clock.advance(60 * MINUTE + 31_000);
    expect(afters(h).length).toBeGreaterThanOrEqual(2);
  });
});

describe("what a new browser announces, as the source catch-up,", () => {
  test("is not what was stored before, even if a clock is ahead", async () => {
    const h = new Harness();
    const times = [-60 * MINUTE, -1, 10_000, 10 * MINUTE, 24 * 60 * MINUTE];
    h.service.history = times.map((ahead) => finished({ taskId: `${ahead}`, time: h.clock.now() + ahead }));
    await h.live();
    expect(h.notifications.map(({ source }) => source)).toEqual(times.map(() => "history"));
  });

  test.each([-10 * MINUTE, 0, 10 * MINUTE])(
    "is the end of a task that was sent from it, by a clock %i ms ahead",
    async (ahead) => {
      const h = new Harness();
      h.topic.accepting = false;
      await h.live({ isAwaited: (taskId) => taskId === "mine" });
      await h.clock.advance(3_000);
      h.service.history = ["mine", "old"].map((taskId) =>
        finished({ taskId, time: h.clock.now() + (taskId === "mine" ? ahead : -MINUTE) }),
      );
      h.topic.last.accept();
      await settle();
      expect(h.notifications).toMatchObject([
        { taskId: "mine", source: "catch-up" },
        { taskId: "old", source: "history" },
      ]);
    },
  );

  test("is what is stored after the first answer, whatever its time", async () => {
    const h = new Harness();
    h.service.history = [finished({ taskId: "old", time: h.clock.now() - MINUTE })];
    await h.live();
    const times = [1, h.clock.now() - 60 * MINUTE, h.clock.now() + 60 * MINUTE];
    h.service.history.push(...times.map((time) => finished({ taskId: `${time}`, time })));
    await gap(h);
    expect(h.notifications.map(({ source }) => source)).toEqual(["history", "catch-up", "catch-up", "catch-up"]);
  });
});

describe("after an outage", () => {
  test("what is stored only after the first answer is emitted without a page load", async () => {
    const h = new Harness();
    await h.live();
    await loseStream(h); // and what is published now is stored when the cache is back
    await h.clock.advance(20_000);
    expect(h.states.at(-1)).toBe("connected");
    for (const [after, taskId] of [
      [1_000, "soon"],
      [40_000, "later"],
      [4 * MINUTE, "minutes later"],
    ] as const) {
      await h.clock.advance(after);
      h.service.history?.push(finished({ taskId }));
    }
    await h.clock.advance(10 * MINUTE);
    expect(h.received).toEqual(["soon", "later", "minutes later"]);
  });

  test("of the history alone the same is true, counted from the first successful answer", async () => {
    const h = new Harness();
    h.service.reply("/notifications", ...Array.from({ length: 60 }, () => problemResponse(503, "down")));
    await h.live();
    for (let passed = 0; h.service.replies["/notifications"]?.length !== 0; passed += 5_000) {
      if (passed > 30 * MINUTE) throw new Error("The client has stopped retrying");
      await h.clock.advance(5_000);
      h.topic.last.heartbeat();
    }
    await h.clock.advance(15_000);
    h.service.history = [finished({ taskId: "a" })];
    h.topic.last.heartbeat();
    await h.clock.advance(22_500);
    expect([h.states.at(-1), h.received]).toEqual(["connected", ["a"]]);
  });

  test("the history is fetched a few times more, and then no more", async () => {
    const h = new Harness();
    await h.live();
    for (let passed = 0; passed < 12 * MINUTE; passed += 5_000) {
      await h.clock.advance(5_000);
      h.topic.last.heartbeat();
    }
    expect(afters(h)).toHaveLength(4);
  });

  test("a client without a stream fetches it no more often than it tries to open one", async () => {
    const h = new Harness();
    await h.live();
    h.topic.accepting = false;
    await loseStream(h);
    const before = [afters(h).length, h.topic.streams.length] as const;
    await h.clock.advance(10 * MINUTE);
    expect(afters(h).length - before[0]).toBeLessThanOrEqual(h.topic.streams.length - before[1]);
  });

  test("nothing is fetched once the client has stopped", async () => {
    const h = new Harness();
    (await h.live()).stop();
    expect(h.clock.pending).toBe(0);
  });
});

describe("each notification is emitted once", () => {
  const a = finished({ taskId: "a" });

  test("even if the topic and the history repeat it", async () => {
    const h = new Harness();
    const client = await h.live();
    h.topic.last.item(a);
    h.topic.last.item({ ...a, time: 1, message: "a second copy" });
    h.service.history = [a];
    await gap(h);
    h.service.history = [{ ...a, time: 2 }]; // written again by a redelivery
    await gap(h);
    h.topic.last.item(a);
    client.stop();
    await h.live();
    h.topic.last.item(a);
    await h.clock.advance(10 * MINUTE);
    expect(h.received).toEqual(["a"]);
  });

  test("even if the history is lost and starts again", async () => {
    const h = new Harness();
    h.service.history = [a];
    const client = await h.live();
    h.service.history = [];
    h.service.invalidateCursors();
    await gap(h);
    h.service.history = [a, finished({ taskId: "b" })];
    h.service.invalidateCursors();
    await gap(h);
    client.stop();
    await h.live();
    expect(h.received).toEqual(["a", "b"]);
  });

  test("even if tabs that share a storage take turns", async () => {
    const h = new Harness();
    const [one, two] = [h.client(), h.client()];
    h.service.history = [a];
    one.start();
    await settle();
    h.topic.last.item({ taskId: "live" });
    one.stop();
    h.service.history.push(finished({ taskId: "live" }), finished({ taskId: "between", time: 1 }));
    two.start();
    await settle();
    two.stop();
    h.service.history.push(finished({ taskId: "last", time: 2 }));
    one.start();
    await settle();
    expect(h.received).toEqual(["a", "live", "between", "last"]);
  });

  test("and a failure and a later success are two", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.item({ ...a, status: "failed" });
    h.service.history = [a];
    await gap(h);
    expect(h.notifications.map(({ status }) => status)).toEqual(["failed", "finished"]);
  });

  test.each(Array.from({ length: 40 }, (_, seed) => seed + 1))(
    "in any order of outages, late writes, duplicates, page loads and changes of the leading tab (%i)",
    async (seed) => {
      const h = new Harness();
      const next = numbers(seed);
      const published: Notification[] = [];
      const unstored: Notification[] = [];
      const stored: Notification[] = [];
      let [cacheIsUp, client] = [true, await h.live()];
      h.service.history = stored;

      const publish = (): void => {
        const notification = finished({
          taskId: `t${published.length}`,
          time: h.clock.now() + (next(3) - 1) * 30 * MINUTE,
        });
        published.push(notification);
        (cacheIsUp ? stored : unstored).push(notification);
        if (h.topic.accepting) for (let copy = 0; copy <= next(2); copy += 1) h.topic.last.item(notification);
      };
      const actions = [
        publish,
        publish,
        publish,
        () => void (cacheIsUp = false),
        () => {
          cacheIsUp = true;
          stored.push(...unstored.splice(0));
        },
        () => {
          h.topic.accepting = false;
          h.topic.last.listener.ended(new StreamError("lost"));
        },
        () => void (h.topic.accepting = true),
        () => h.service.invalidateCursors(),
        () => {
          client.stop();
          client = h.client();
          client.start();
        },
        () =>
          h.service.reply(
            "/notifications",
            problemResponse(next(2) === 0 ? 503 : 429, "busy", { "retry-after": "20" }),
          ),
      ];
      for (let step = 0; step < 60; step += 1) {
        (actions[next(actions.length)] as () => void)();
        if (!cacheIsUp) h.service.reply("/notifications", problemResponse(503, "down"));
        await h.clock.advance(next(30_000));
      }
      h.topic.accepting = true;
      stored.push(...unstored.splice(0));
      await h.clock.advance(30 * MINUTE);
      expect([...h.received].sort()).toEqual(published.map(({ taskId }) => taskId).sort());
    },
  );
});

/** Whole numbers below a limit, the same for the same seed (mulberry32). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

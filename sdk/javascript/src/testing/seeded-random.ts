/** A generator of numbers in [0, 1) that repeats with its seed, so that a failure can be repeated. */
export function seededRandom(seed: number): () => number {
  return () => {
    seed = (seed * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return seed / 4_294_967_296;
  };
}

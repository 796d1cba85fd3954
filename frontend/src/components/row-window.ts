import { computed, ref, watch, type ComputedRef, type Ref } from "vue";

/** How many rows are shown at first, and added by "Show older". */
const PAGE = 100;
/** Rows are created a few at a time, so that the page never stops responding. */
const ROWS_A_FRAME = 10;

export interface RowWindow {
  /** How many rows are to be created by now. */
  rows: Readonly<Ref<number>>;
  hasOlder: ComputedRef<boolean>;
  showOlder: () => void;
  /** Creates the rows up to this index at once. */
  showIndex: (index: number) => void;
  /** Starts again with the first page. */
  reset: () => void;
}

/** Which part of a list of `length` rows is shown. */
export function useRowWindow(length: () => number): RowWindow {
  const limit = ref(PAGE);
  const rows = ref(ROWS_A_FRAME);
  const wanted = computed(() => Math.min(limit.value, length()));
  let frame: number | undefined;

  function grow(): void {
    frame = undefined;
    if (rows.value >= wanted.value) return;
    rows.value += ROWS_A_FRAME;
    frame ??= requestAnimationFrame(grow);
  }

  watch(wanted, () => (frame ??= requestAnimationFrame(grow)), { immediate: true });

  return {
    rows,
    hasOlder: computed(() => length() > limit.value),
    showOlder: () => (limit.value += PAGE),
    showIndex(index) {
      while (limit.value <= index) limit.value += PAGE;
      rows.value = Math.max(rows.value, index + 1);
    },
    reset() {
      limit.value = PAGE;
      rows.value = ROWS_A_FRAME;
      frame ??= requestAnimationFrame(grow);
    },
  };
}

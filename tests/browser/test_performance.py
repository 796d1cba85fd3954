"""Speed, printed: `make bench-page`.

Times that other work on the machine lengthens are not asserted. Wanted, on a quiet one: interactive below 1.5 s, news
within 50 ms (p50).
"""

import pytest

from tests.support.browser.page import TaskPage
from tests.support.browser.performance import LONGEST_TASK_MS, measure
from tests.support.browser.stack import BrowserStack

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.timeout(180)
async def test_a_flood_of_news_leaves_the_page_responsive_and_nothing_behind(
    page: TaskPage, stack: BrowserStack
) -> None:
    speed = await measure(page, stack)
    print(f"\n{speed}")  # noqa: T201 - the measurement is what this is for
    assert speed.longest_task_ms <= LONGEST_TASK_MS
    assert speed.after.heap_mb < speed.before.heap_mb * 1.2
    assert speed.after.process_mb < speed.before.process_mb * 1.2

"""What reads, cancels and marks, on one fake cache and one manual clock."""

from services.common.background import Background
from services.common.messages.notification import Notification
from services.common.momento.cancel_requests import CancelRequests
from services.common.momento.history import HistoryEntry, NotificationHistory
from services.common.momento.read_markers import ReadMarkers
from services.common.momento.results import Results
from services.common.momento.task_status import TaskStatuses
from services.token.history.history_limits import ReadBudget, UserLimit
from services.token.history.history_reader import HistoryReader
from services.token.history.read_marker import ReadMarkerMover
from services.token.operation_budget import OperationBudget
from services.token.tasks.cancel_view import CancelView
from services.token.tasks.task_canceller import TaskCanceller
from services.token.tasks.task_lookup import TaskLookup
from services.token.tasks.task_reader import TaskReader
from tests.support.clock import ManualClock
from tests.support.fakes.momento import FakeMomento

NOW = 1_767_225_600.0
NOW_MS = int(NOW * 1000)
DAY_SECONDS = 86_400.0


class TaskServices:
    """The parts of the token service about tasks."""

    def __init__(self, momento: FakeMomento | None = None, *, per_second: float = 1e6) -> None:
        self.momento = momento or FakeMomento()
        self.clock = ManualClock(NOW)
        gateway = self.momento.as_momento()
        self.history = NotificationHistory(gateway, DAY_SECONDS)
        self.statuses = TaskStatuses(gateway, DAY_SECONDS)
        self.results = Results(gateway, DAY_SECONDS)
        self.markers = ReadMarkers(gateway, DAY_SECONDS)
        self.requests = CancelRequests(gateway)
        self.background = Background(lambda: None)
        self.history_reader = HistoryReader(
            self.history, self.markers, UserLimit(30, 1e6), ReadBudget(1e6), self.background
        )
        self.budget = OperationBudget(per_second, clock=self.clock)
        self.download_budget = OperationBudget(per_second, clock=self.clock)
        self.view = CancelView(self.requests, per_second, clock=self.clock, timer=self.clock)
        self.lookup = TaskLookup(self.history, self.statuses, self.history_reader, self.clock)
        self.reader = TaskReader(self.lookup, self.results, self.view, self.budget, self.download_budget)
        self.canceller = TaskCanceller(self.lookup, self.requests, self.view, self.budget, clock=self.clock)
        self.mover = ReadMarkerMover(gateway, self.markers, self.budget, clock=self.clock)

    async def conclude(self, notification: Notification, user_id: str = "alice") -> None:
        """Write a final notification to the history, as the processor does."""
        now_ms = int(self.clock() * 1000)
        await self.history.write(user_id, HistoryEntry(notification=notification), now_ms)

    def stored_cancels(self) -> dict[str, bytes]:
        return self.momento.dictionaries.get("task-cancels", {})

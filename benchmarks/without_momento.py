"""The processor with everything on but the network calls that tell: ``python -m benchmarks.without_momento``.

Replaced are the two calls of the Momento gateway that a task makes, the publishing and the record's write; all of the
service's own code around them runs. `benchmarks.processor` measures apart what those calls add.
"""

from services.common.momento.gateway import Momento
from services.common.run import main
from services.processor.app import create_app
from services.processor.settings import read_settings


async def _nothing(_momento: Momento, *_given: object, **_named: object) -> None:
    pass


if __name__ == "__main__":
    Momento.publish = _nothing  # type: ignore[method-assign,assignment]
    Momento.dictionary_set = _nothing  # type: ignore[method-assign,assignment]
    main(read_settings, create_app, listens=False)

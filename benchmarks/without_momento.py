"""The processor without its calls to Momento: ``python -m benchmarks.without_momento``.

The two calls that each task makes, publishing and writing the history, are replaced; all of the service's own code
runs. `benchmarks.processor` measures separately what those calls add.
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

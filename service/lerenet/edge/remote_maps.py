"""Maps that the core has made for a request of an edge."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lerenet.edge.core_link import CoreLink
from lerenet.edge.messages import Answered, Find, LetGo, Part
from lerenet.edge.wire import packed, unpacked
from lerenet.errors import LERENetError
from lerenet.imaging import Image
from lerenet.observability import current_request_id, note_stage
from lerenet.runtime.findings import SegmentationQuery, SoughtClass
from lerenet.runtime.segmentation import MapPart
from lerenet.support import saw_revision


class RemoteMaps:
    """A question for the maps of images, asked when this is made; see `segmentation.ComingMaps`.

    Args:
        core: Whom to ask.
        query: What is asked.
        images: Decoded, whole.
        deadline: Monotonic time, in seconds, after which nobody waits.

    Raises:
        Draining: The core is gone.
    """

    def __init__(self, core: CoreLink, query: SegmentationQuery, images: Sequence[Image], deadline: float) -> None:
        self._core = core
        self._classes: Sequence[SoughtClass] | None = None
        self._parts: dict[tuple[int, int], Part] = {}
        self._awaited: dict[tuple[int, int], asyncio.Future[None]] = {}
        self._next_places = [0] * len(images)
        self._unread: dict[int, LetGo] = {}
        self._answer: Answered | None = None
        self._number = core.listen(self)
        looked_at = [packed(query.looked_at(image)) for image in images]
        core.link.send(Find(self._number, current_request_id(), query, looked_at, deadline))

    async def next_part(self, frame: int) -> MapPart | None:
        """The next maps of an image; whoever asks has dropped those before."""
        read = self._unread.pop(frame, None)
        if read is not None:
            self._core.link.send(read)
        place = self._next_places[frame]
        if self._classes is not None and place >= len(self._classes):
            return None
        part = await self._arrived(frame, place)
        assert self._classes is not None
        saw_revision(part.revision)
        note_stage("queue", part.started - part.submitted, part.started)
        note_stage("device", part.ended - part.started, part.ended)
        self._next_places[frame] = place + len(part.maps)
        self._unread[frame] = LetGo(self._number, frame, place)
        return MapPart(place, self._classes[place : place + len(part.maps)], [unpacked(q) for q in part.maps])

    def cancel(self) -> None:
        """Tells the core that nobody waits, unless it has said all there is and knows that it has been read."""
        is_done = self._classes is not None and all(place >= len(self._classes) for place in self._next_places)
        self._core.forget(self._number, cancel=self._answer is None and not (is_done and not self._unread))

    def hear(self, message: Part | Answered) -> None:
        """Takes maps, or why there are none."""
        if isinstance(message, Answered):
            self._answer = message
            keys = list(self._awaited)
        else:
            self._classes = message.classes or self._classes
            key = (message.frame, message.first_place)
            self._parts[key] = message
            keys = [key]
        for key in keys:
            awaited = self._awaited.pop(key, None)
            if awaited is not None and not awaited.done():
                awaited.set_result(None)

    def lose(self, error: LERENetError) -> None:
        """The core is gone."""
        self.hear(Answered(self._number, error))

    async def _arrived(self, frame: int, place: int) -> Part:
        key = (frame, place)
        while key not in self._parts:
            if self._answer is not None:
                saw_revision(self._answer.revision)
                raise self._answer.error or AssertionError("a question for maps was answered without any")
            self._awaited[key] = asyncio.get_running_loop().create_future()
            await self._awaited[key]
        return self._parts.pop(key)

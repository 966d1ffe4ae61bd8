"""The facade of delivery gives its rooms."""

import perenne.delivery as delivery


def test_every_room_is_a_door() -> None:
    assert [getattr(delivery, name).__name__ for name in dir(delivery)] == [
        f"perenne.delivery.{name}" for name in ("bill", "clusters", "events", "gates", "images", "portable")
    ]

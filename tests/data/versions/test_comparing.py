"""What differs between two states of what is tracked."""

from perenne.data.versions.comparing import Differences, Tracked, below, differences


def test_files_and_folders_that_came_went_changed_and_moved() -> None:
    old = Tracked({"d/": "1.dir", "d/a": "a", "d/b": "b", "gone": "g", "same": "s"})
    new = Tracked({"d/": "2.dir", "d/a": "A", "d/c": "b", "came": "n", "same": "s"})
    assert differences(old, new) == Differences(["came"], ["gone"], ["d/", "d/a"], [("d/b", "d/c")], ["same"])
    assert differences(old, new, renames=False).deleted == ["d/b", "gone"]


def test_what_lies_in_a_folder_of_unknown_content_is_not_judged() -> None:
    old = Tracked({"d/": "1.dir"}, {"d/"})
    new = Tracked({"d/": "2.dir", "d/a": "a", "dust": "x"})
    assert differences(old, new) == Differences(["dust"], [], ["d/"], [], [])


def test_equal_contents_are_matched_one_with_one() -> None:
    old, new = Tracked({"a": "1", "b": "1"}), Tracked({"c": "1", "d": "1", "e": "1"})
    found = differences(old, new)
    assert found.renamed == [("a", "c"), ("b", "d")] and found.added == ["e"] and not found.deleted


def test_a_part_of_a_state() -> None:
    state = Tracked({"d/": "1", "d/a": "2", "dust": "3"})
    assert below(state, ["d"]).digests == {"d/": "1", "d/a": "2"}
    assert below(state, []) is state

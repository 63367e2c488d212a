import pytest
from sqlalchemy import text

from sleepcycle.errors import StoreError, VersionError
from sleepcycle.store import example_table, version_table
from sleepcycle.store.values import Alias
from tests.store.conftest import add_batch, add_version, train


class TestVersions:
    def test_a_version_is_found_by_number_name_and_alias(self, session):
        add_version(session)
        version_table.set_alias(session, "best", 1)

        found = version_table.get(session, 1)

        assert found.name == "v1"
        assert found.parents == (0,)
        for name in ("v1", "1", "best"):
            assert version_table.resolve(session, name) == found
        assert version_table.list_versions(session)[1] == found
        assert version_table.card(session, 1) == '{"seed": 42}'

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("v7", "there are v0 to v1 and best, live"),
            ("bets", r"did you mean best\?"),
            ("../etc", "there are v0"),
            ("v01", "there are v0"),
            ("", "there are v0"),
            ("9" * 30, "there are v0"),
        ],
    )
    def test_an_unknown_name_is_answered_with_those_there_are(
        self, session, name, hint
    ):
        add_version(session)
        version_table.set_alias(session, "best", 1)

        with pytest.raises(VersionError, match=hint):
            version_table.resolve(session, name)

    def test_parents_keep_their_order(self, session):
        for _ in range(3):
            add_version(session)

        number = add_version(session, parents=(2, 1, 3))

        assert version_table.get(session, number).parents == (2, 1, 3)

    def test_ancestors_are_found_however_far_back(self, session):
        """
        0 - 1 - 2 - 4, with 3 beside: 4 comes from 2 and 1, not from 3.
        """
        add_version(session, parents=(0,))
        add_version(session, parents=(1,))
        add_version(session, parents=(1,))
        add_version(session, parents=(2, 1))

        assert version_table.ancestors(session, 4) == {0, 1, 2, 4}
        assert version_table.ancestors(session, 3) == {0, 1, 3}
        assert version_table.ancestors(session, 0) == {0}

    def test_batches_are_added_over_versions(self, session):
        for line in ("one", "two"):
            add_batch(session, [line])
        add_version(session, batches={1: 5})
        add_version(session, batches={1: 2, 2: 3})

        assert version_table.batches_of(session, {1, 2}) == {1: 7, 2: 3}
        assert version_table.batches_of(session, set()) == {}

    def test_what_is_excluded_taints_all_that_learned_it_and_their_children(
        self, session
    ):
        """
        Batch 1 is in v1, batch 2 in v2 beside it; v3 comes from v1, v5 from v3; v4
        from v2 alone.
        """
        for line in ("one", "two"):
            add_batch(session, [line], share=0.0)
            train(session)
        for parents in ((1,), (2,), (3, 2)):
            add_version(session, parents=parents)
        assert version_table.tainted(session) == set()

        example_table.exclude_batch(session, 1)
        assert version_table.tainted(session) == {1, 3, 5}

        example_table.exclude_batch(session, 2)
        assert version_table.tainted(session) == {1, 2, 3, 4, 5}

        example_table.requeue_batch(session, 1)
        assert version_table.tainted(session) == {2, 4, 5}

    def test_a_parent_must_be_older(self, store):
        with (
            pytest.raises(StoreError, match="parent_is_older"),
            store.write() as session,
        ):
            add_version(session, parents=(1,))

    def test_two_versions_cannot_share_a_folder(self, store):
        with store.write() as session:
            add_version(session)
            add_version(session)

        with (
            pytest.raises(StoreError, match=r"version\.folder"),
            store.write() as session,
        ):
            session.execute(text("UPDATE version SET folder = 'x' WHERE number > 0"))


class TestAliases:
    def test_the_service_moves_and_drops_its_own(self, session):
        add_version(session)
        version_table.point(session, Alias.LIVE, 1)
        version_table.point(session, Alias.DAY, 1)
        version_table.point(session, Alias.DAY, None)
        version_table.point(session, Alias.DAY, None)

        assert version_table.aliases(session) == {"live": 1}

    def test_a_user_moves_and_drops_theirs(self, session):
        add_version(session)
        version_table.set_alias(session, "best", 0)
        version_table.set_alias(session, "best", 1)
        assert version_table.aliases(session)["best"] == 1

        version_table.drop_alias(session, "best")

        assert "best" not in version_table.aliases(session)
        with pytest.raises(VersionError, match="no version or alias 'best'"):
            version_table.drop_alias(session, "best")

    @pytest.mark.parametrize("name", list(Alias))
    def test_no_user_moves_the_services(self, session, name):
        for change in (
            lambda: version_table.set_alias(session, name, 0),
            lambda: version_table.drop_alias(session, name),
        ):
            with pytest.raises(VersionError, match="moved by sleepcycle alone"):
                change()

    @pytest.mark.parametrize(
        "name",
        ["v3", "3", "", "Best", "a/b", "..", "-x", "a b", "é", "a" * 65, "best\n"],
    )
    def test_a_name_that_could_mislead_is_refused(self, session, name):
        with pytest.raises(VersionError, match="an alias must begin with a-z"):
            version_table.set_alias(session, name, 0)

    def test_an_alias_needs_a_version(self, session):
        with pytest.raises(VersionError, match="no version or alias 'v5'"):
            version_table.set_alias(session, "best", 5)


def test_who_knows_a_batch_learned_it_or_comes_from_one_that_did(session):
    """
    Whether its examples are excluded by now, or not.
    """
    add_batch(session, ["one"], share=0.0)
    first = train(session)
    second = add_version(session, parents=(first,))
    add_batch(session, ["two"], share=0.0)
    other = train(session)

    assert version_table.knowing_batch(session, 1) == [first, second]
    assert version_table.knowing_batch(session, 2) == [other]
    example_table.exclude_batch(session, 1)
    assert version_table.tainted(session) == {first, second}

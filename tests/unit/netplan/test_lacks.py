from collections.abc import Callable

from relays import with_red

from benito.model import Kind, Shaping
from benito.plan import PnodePlan
from benito_netplan.probe import EVERY_FEATURE, lacks
from benito_netplan.relay import CAPACITY_KBPS
from benito_netplan.shaping import Feature

Plans = Callable[..., PnodePlan]
HALF = Shaping(rate_kbps=1000, delay_us=5000, loss_ratio=1 - 0.99**0.5)


def told(plan: PnodePlan, *missing: Feature) -> list[tuple[str, str, bool]]:
    return [(lack.missing, lack.element, lack.shaping) for lack in lacks(plan, EVERY_FEATURE - set(missing))]


def test_a_kernel_with_everything_lacks_nothing(plan_of: Plans) -> None:
    assert told(plan_of({"l": "a b", "lan": "a b c"}, kind=Kind.QEMU, shaped={"lan": (HALF, HALF)})) == []


def test_a_clear_experiment_does_not_miss_netem(plan_of: Plans) -> None:
    assert told(plan_of({"l": "a b", "lan": "a b c"}), Feature.NETEM, Feature.HTB, Feature.IFB) == []


def test_a_link_says_what_it_wants_netem_for(plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (HALF, HALF)})
    assert told(plan, Feature.NETEM, Feature.RELAY) == [
        ("netem (delay and loss)", "link l: 10 ms each way, loss 1 %", True)
    ]


def test_a_lan_says_what_its_members_want_netem_for(plan_of: Plans) -> None:
    plan = plan_of({"lan": "a b c"}, shaped={"lan": (Shaping(delay_us=2000), Shaping(delay_us=3000))})
    assert told(plan, Feature.NETEM, Feature.RELAY) == [
        ("netem (delay and loss)", "LAN lan: 2 ms into it and 3 ms out of it at every node", True)
    ]


def test_where_there_is_no_netem_the_relay_will_do(plan_of: Plans) -> None:
    plan = plan_of({"l": "a b", "lan": "a b c"}, shaped={"l": (HALF, HALF), "lan": (HALF, HALF)})
    assert told(plan, Feature.NETEM, Feature.IFB, Feature.HTB) == []


def test_what_is_too_much_for_the_relay_is_refused(plan_of: Plans) -> None:
    fast = Shaping(rate_kbps=CAPACITY_KBPS + 1000, delay_us=10)
    (lack,) = told(plan_of({"l": "a b"}, shaped={"l": (fast, Shaping())}), Feature.NETEM)
    assert lack[0].startswith("netem (the relay carries at most")
    far = Shaping(rate_kbps=CAPACITY_KBPS, delay_us=30_000_000)
    (lack,) = told(plan_of({"l": "a b"}, shaped={"l": (far, Shaping())}), Feature.NETEM)
    assert "has room for" in lack[0]


def test_early_drops_need_the_relay_on_every_kernel(plan_of: Plans) -> None:
    plan = with_red(plan_of({"l": "a b"}, shaped={"l": (Shaping(rate_kbps=1000), Shaping())}))
    assert told(plan, Feature.RELAY) == [("the relay (RED queues)", "link l", True)]
    assert told(plan, Feature.HTB, Feature.NETEM) == []


def test_rates_need_htb(plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (Shaping(rate_kbps=1500), Shaping(rate_kbps=1500))})
    assert told(plan, Feature.HTB) == [("htb (rates)", "link l: 1.5 Mbit/s", True)]


def test_the_way_into_a_lan_needs_ifb(plan_of: Plans) -> None:
    plan = plan_of({"lan": "a b c"}, shaped={"lan": (Shaping(rate_kbps=1500), Shaping())})
    assert [shaping for _, _, shaping in told(plan, Feature.IFB)] == [True]


def test_a_wire_cannot_do_without_redirection(plan_of: Plans) -> None:
    plan = plan_of({"l": "a b"}, shaped={"l": (Shaping(rate_kbps=1500), Shaping())})
    assert told(plan, Feature.REDIRECT) == [("redirection (u32 and mirred)", "link l", False)]


def test_a_lan_cannot_do_without_bridges(plan_of: Plans) -> None:
    assert told(plan_of({"lan": "a b c"}), Feature.BRIDGE) == [("bridges", "LAN lan", False)]


def test_nft_is_missed_once_and_only_where_there_is_a_control_network(plan_of: Plans) -> None:
    assert told(plan_of({"l": "a b"}), Feature.NFT) == []
    assert told(plan_of({"l": "a b"}, kind=Kind.QEMU), Feature.NFT) == [
        ("nft (packet filter)", "control interface of node a", False)
    ]

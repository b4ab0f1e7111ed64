"""Events, programs, groups, sequences and timelines of NS files: kept in the words of Emulab's event system."""

from collections.abc import Callable

import pytest

from benito.model import Event, Program, Topology

Reader = Callable[[str], Topology]

BASE = """set a [$ns node]; set b [$ns node]
set l [$ns duplex-link $a $b 10Mb 10ms DropTail]
set lan [$ns make-lan "$a $b" 10Mb 10ms]
set q [[$ns link $a $b] queue]
set p [$a program-agent -command "ls -l"]
set con [$a console]
set u [new Agent/UDP]; $ns attach-agent $a $u
set cbr [new Application/Traffic/CBR]; $cbr attach-agent $u
set z [new Agent/Null]; $ns attach-agent $b $z; $ns connect $u $z
set seq [$ns event-sequence]; set tl [$ns event-timeline]
"""


def event_of(topology: Topology) -> tuple[str, str, str, str]:
    (event,) = topology.events
    return event.target, event.target_kind, event.event, event.arguments


@pytest.mark.parametrize(
    ("words", "target", "kind", "event", "arguments"),
    [
        ("$l up", "l", "LINK", "UP", ""),
        ("$lan down", "lan", "LINK", "DOWN", ""),
        ("$l bandwidth 5Mb duplex", "l", "LINK", "MODIFY", "BANDWIDTH=5000"),
        ("$l delay 20ms", "l", "LINK", "MODIFY", "DELAY=20ms"),
        ("$l plr 0.1", "l", "LINK", "MODIFY", "PLR=0.1"),
        ("$l trace snapshot", "l-tracemon", "LINKTRACE", "SNAPSHOT", ""),
        ("$q set limit_ 55", "l-a", "LINK", "MODIFY", "LIMIT=55"),
        ("$q set q_weight_ 0.5", "l-a", "LINK", "MODIFY", "Q_WEIGHT=0.5"),
        ("$q trace start", "l-a-tracemon", "LINKTRACE", "START", ""),
        ("$p start", "p", "PROGRAM", "START", "COMMAND=ls -l"),
        ("$p run -dir /y -timeout 1m5s -tag t -command {echo x}", "p", "PROGRAM", "RUN",
         "DIR={/y} TAG=t TIMEOUT={65} COMMAND=echo x"),
        ("$p set -expected-exit-code 3", "p", "PROGRAM", "MODIFY", "EXPECTED_EXIT_CODE=3 COMMAND=ls -l"),
        ("$p stop", "p", "PROGRAM", "STOP", ""),
        ("$p kill SIGTERM", "p", "PROGRAM", "KILL", "SIGNAL=SIGTERM"),
        ("$cbr start", "cbr", "TRAFGEN", "START", ""),
        ("$cbr set rate_ 5Mb", "cbr", "TRAFGEN", "MODIFY", "RATE=5000"),
        ("$cbr set packetSize_ 512", "cbr", "TRAFGEN", "MODIFY", "PACKETSIZE=512"),
        ("$a reboot", "a", "NODE", "REBOOT", ""),
        ("$a snapshot-to IMG", "a", "NODE", "SNAPSHOT", "IMAGE=IMG"),
        ("$a reload -image IMG", "a", "NODE", "RELOAD", "IMAGE=IMG"),
        ("$con stop /tmp/log", "a-console", "CONSOLE", "STOP", "FILE=/tmp/log"),
        ("$seq run", "seq", "SEQUENCE", "RUN", ""),
        ("$tl start", "tl", "TIMELINE", "START", ""),
        ("$ns terminate", "ns", "SIMULATOR", "HALT", ""),
        ("$ns swapout", "ns", "SIMULATOR", "SWAPOUT", ""),
        ('$ns log "hello there"', "ns", "SIMULATOR", "LOG", "hello there"),
        ("$ns cleanlogs", "ns", "SIMULATOR", "RESET", "ASPECT=LOGHOLE"),
        ("$ns report -archive x", "ns", "SIMULATOR", "REPORT", "ARCHIVE={x}"),
        ("$ns linktest", "linktest", "LINKTEST", "START", "STARTAT=1 STOPAT=3"),
        ("$ns reset-lans", "__all_lans", "LINK", "RESET", ""),
        ("$ns trace-for 60", "slothd", "SLOTHD", "START", "DURATION=60"),
    ],
)  # fmt: skip
def test_an_event_is_kept_in_the_event_systems_words(
    body: Reader, words: str, target: str, kind: str, event: str, arguments: str
) -> None:
    quoted = words.replace('"', '\\"')
    assert event_of(body(f'{BASE}$ns at 10 "{quoted}"')) == (target, kind, event, arguments)


@pytest.mark.parametrize(
    ("time", "seconds"), [("10", 10), ("0.5", 0.5), ("1m", 60), ("1h2m3s", 3723), ("2h", 7200), (".25", 0.25)]
)
def test_times_are_seconds_or_hours_minutes_and_seconds(body: Reader, time: str, seconds: float) -> None:
    (event,) = body(f'{BASE}$ns at {time} "$l up"').events
    assert event.time_seconds == seconds


def test_several_events_stand_in_one_statement(body: Reader) -> None:
    events = body(f'{BASE}$ns at 10 "$l down; $l up;#no $l up; "').events
    assert [event.event for event in events] == ["DOWN", "UP"]


def test_an_event_may_wait_for_the_swapout(body: Reader) -> None:
    (event,) = body(f'{BASE}$ns at swapout "$p start"').events
    assert event.at_swapout
    assert event.time_seconds is None


def test_a_start_command_is_a_program_that_events_may_name(body: Reader) -> None:
    topology = body(f'{BASE}set s [tb-set-node-startcmd $b "echo hi"]\n$ns at 5 "$s stop"')
    assert event_of(topology) == ("b_startcmd", "PROGRAM", "STOP", "")
    assert [program.name for program in topology.programs] == ["p"]


def test_a_sequence_holds_events_without_times_in_their_order(body: Reader) -> None:
    topology = body(
        f"{BASE}proc more {{}} {{ global ns l p; return [$ns event-sequence {{\n $l down\n $p run\n\n $l up\n}}] }}\n"
        'set mine [more]\n$mine append "$l clear"\n$ns at 5 "$mine start"'
    )
    inside = [event for event in topology.events if event.sequence == "mine"]
    assert [(event.event, event.time_seconds) for event in inside] == [
        ("DOWN", None),
        ("RUN", None),
        ("UP", None),
        ("CLEAR", None),
    ]


def test_a_sequence_with_a_part_for_mistakes_is_three(body: Reader) -> None:
    topology = body(f"{BASE}set s [$ns event-sequence {{{{$l down}} {{$p run}}}} catch {{{{$l up}}}}]")
    kept = [(event.sequence, event.target, event.event) for event in topology.events]
    first, second = (event.target for event in topology.events if event.target_kind == "SEQUENCE")
    assert kept == [
        (first, "l", "DOWN"),
        (first, "p", "RUN"),
        (second, "l", "UP"),
        ("s", first, "RUN"),
        ("s", second, "RUN"),
    ]


def test_a_timelines_events_have_times_and_its_name(body: Reader) -> None:
    events = body(f'{BASE}$tl at 1 "$p start"\n$tl at 2.5 "$p stop"').events
    assert [(event.time_seconds, event.sequence) for event in events] == [(1, "tl"), (2.5, "tl")]


def test_a_link_that_events_aim_at_is_shaped(body: Reader) -> None:
    topology = body(f'{BASE}$ns at 1 "$q set limit_ 5"')
    assert [dict(lan.settings).get("must_delay") for lan in topology.lans] == ["1", None]


def test_a_cloud_is_cleared_and_made_at_the_start(body: Reader) -> None:
    topology = body('set a [$ns node]; set b [$ns node]\nset c [$ns make-cloud "$a $b" 1Mb 10ms]')
    line = topology.lans[0].line
    assert topology.events == (
        Event(time_seconds=0, target="c", target_kind="LINK", event="CLEAR", line=line),
        Event(time_seconds=1, target="c", target_kind="LINK", event="CREATE", line=line),
    )


def test_names_that_come_later_are_the_names_of_the_events(body: Reader) -> None:
    topology = body('set a [$ns node]\nset x(1) [$a program-agent -command c]\n$ns at 1 "$x(1) start"')
    assert topology.events[0].target == topology.programs[0].name == "x-1"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ('$ns at soon "$l up"', "[at] Invalid time spec: soon"),
        ('$ns at 1 "finish"', "[at] Missing event type for finish"),
        ('$ns at 1 "nothing up"', "[at] there is no object nothing"),
        ('$ns at 1 "$l modify X=1"', "[at] l knows no event modify."),
        ('$ns at 1 "$l donw"', "did you mean down?"),
        ('$ns at 1 "$l bandwidth 5Mb"', "[at] Wrong number of arguments: l bandwidth 5Mb"),
        ('$ns at 1 "$l bandwidth 5mb duplex"', "Unknown bandwidth unit mb."),
        ('$ns at 1 "$l plr 2"', "Improper argument: 2 is not a loss."),
        ('$ns at 1 "$l plr x"', "Improper argument: x is not a number."),
        ('$ns at 1 "$l trace jump"', "a trace has no event jump."),
        ('$ns at 1 "$p kill"', "Wrong number of arguments: p kill"),
        ('$ns at 1 "$p run -cmd x"', "bad option '-cmd', should be one of: -command, -dir"),
        ('$ns at 1 "$p run -timeout soon"', "-timeout value is not a relative time: soon"),
        ('$ns at 1 "$p run -command"', "the option -command has no value"),
        ('$ns at 1 "$a setdest 1 2 3"', "a is not located on a topography"),
        ('$ns at 1 "$u start"', "nothing can happen to u, which is of the type Agent/UDP."),
        ('$tl at soon "$l up"', "Invalid time spec: soon"),
        ('$seq append "$l donw"', "[append] l knows no event donw."),
        (
            "set g [$ns event-group [list $l $p]]",
            "[add] p: All members must be of the same type! (the others are of the type LanLink)",
        ),
        ("set g [$ns event-group]; $g add nothing", "nothing cannot be in an event group."),
        ("$a program-agent -cmd x", "[program-agent] bad option '-cmd', should be one of: -command, -dir"),
        ("$a program-agent -timeout x", "-timeout value is not a relative time: x"),
        ("$a program-agent -expected-exit-code x", "x is not an exit code."),
        ("set o [new Program $ns]", "[updatedb] o has no node."),
        ('set o [$a program-agent -command "x\\ny"]', "[updatedb] o has disallowed newline in command: x y"),
    ],
)
def test_a_mistake_in_an_event_is_found_when_the_file_is_read(
    refusal: Callable[[str], str], statement: str, message: str
) -> None:
    assert message in refusal(f"set ns [new Simulator]\n{BASE}{statement}\n$ns run\n")


def test_a_value_that_events_cannot_change_is_doubted(body: Reader) -> None:
    (warning,) = [one for one in body(f'{BASE}$ns at 1 "$cbr set random_ 1"').warnings if "cannot" in one.message]
    assert warning.message.startswith("events cannot change random_; known: packetSize_")


def test_events_are_bounded_as_in_emulab(refusal: Callable[[str], str]) -> None:
    said = refusal(
        f'set ns [new Simulator]\n{BASE}for {{set i 0}} {{$i < 15000}} {{incr i}} {{$ns at $i "$l up"}}\n$ns run'
    )
    assert said.count("Too many events in your NS file!") == 1


def test_a_program_has_what_its_options_say(body: Reader) -> None:
    topology = body(
        "set a [$ns node]\nset p [$a program-agent -command {ls} -dir /tmp -timeout 1m -expected-exit-code 3]"
    )
    assert topology.programs == (
        Program(name="p", node="a", command="ls", directory="/tmp", timeout_seconds=60, expected_exit_code=3, line=3),
    )


def test_a_program_may_be_made_alone_and_run_on_a_server(body: Reader) -> None:
    (program,) = body('set a [$ns node]\nset o [new Program $ns]\n$o set node "ops"\n$o set command date').programs
    assert (program.name, program.node, program.command) == ("o", "ops", "date")


def test_a_group_has_members_of_one_class_once_each(body: Reader) -> None:
    topology = body(f"{BASE}set g [$ns event-group [list $l $lan]]\n$g add $l\nset h [new EventGroup $ns]\n$h add $p")
    assert topology.groups == (("g", ("l", "lan")), ("h", ("p",)))


def test_a_group_tells_its_members(body: Reader) -> None:
    topology = body(f"{BASE}set g [$ns event-group [list $l $lan]]\nforeach m [$g members] {{tb-set-multiplexed $m 1}}")
    assert [dict(lan.settings)["multiplexed"] for lan in topology.lans] == ["1", "1"]


def test_a_group_understands_what_its_members_do(body: Reader) -> None:
    topology = body(f'{BASE}set g [$ns event-group [list $p]]\n$ns at 1 "$g start"')
    assert event_of(topology) == ("g", "PROGRAM", "START", "")

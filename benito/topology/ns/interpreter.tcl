# Runs an NS file in a safe interpreter of its own and prints what it did, a record of words a line.
#
# Words on the command line: the file to run, the most nodes, seconds, commands, and two Tcl lists that Python's
# tables fill: {command least most usage ...} and {class method least most usage ...}; most -1 is any number.
#
# This side gives objects their names and files what they can see of them; what a call means is Python's part.
# Nothing that the file says reaches this interpreter but as words.

lassign $argv file mostNodes seconds mostCommands commandTable methodTable
set child [interp create -safe]

foreach {name least most usage} $commandTable { set command($name) [list $least $most $usage] }
foreach {class name least most usage} $methodTable { set method($class,$name) [list $least $most $usage] }

# What must not stand in a record as it is: what ends words and records, and what begins an escape.
set escapes {}
foreach code {10 31 92} { lappend escapes [format %c $code] [format {\x%02x} $code] }

# A record is a line of words; the character 31 parts them.
proc Emit {args} {
    if {[regexp {[\n\x1f\\]} [join $args]]} {
        set words {}
        foreach word $args { lappend words [string map $::escapes $word] }
        puts stdout [join $words \x1f]
    } else {
        puts stdout [join $args \x1f]
    }
}

# The line of the innermost statement that stands in the file: code made at run time counts for the line that ran it.
proc Line {} {
    for {set level 1} {![catch {interp eval $::child [list ::tcl::info::frame -$level]} frame]} {incr level} {
        if {[dict exists $frame file]} { return [dict get $frame line] }
    }
    return 0
}

# An error of ours that ends the file, with its line.
proc Refuse {message} {
    set ::refusedAt [Line]
    set ::refusal $message
    return -code error $message
}

proc NotAllowed {name args} { Refuse "command not allowed: $name" }

proc CheckCount {words rule} {
    lassign $rule least most usage
    set count [llength $words]
    if {$count < $least || ($most >= 0 && $count > $most)} { Refuse "wrong # args: should be \"$usage\"" }
}

# --- objects --------------------------------------------------------------------------------------------------------

set numbered 0   ;# the counter in the names of nodes, links and LANs: one for all, as users see it in tblink-l3
set others 0     ;# the counter of everything else
set ids 0
set nodes 0
set pending {}   ;# the newest object, while it still may get its name

# What no variable gives its name to.
array set unnamed {Null 1 Queue 1 Handle 1 Console 1}

# Makes an object. It is a command of the child under its name, and is known to Python by its number.
proc Make {class name how words} {
    set id [incr ::ids]
    set ::classOf($id) $class
    set ::nameOf($id) $name
    set ::idOf($name) $id
    interp alias $::child ::$name {} Call $id
    Emit new [Line] $id $class $name $how {*}$words
    if {![info exists ::unnamed($class)]} { set ::pending $id }
    return $name
}

proc Rename {id name} {
    set old $::nameOf($id)
    if {[interp eval $::child [list ::namespace which -command ::$name]] ne ""} {
        Refuse "can't rename to \"$name\": command already exists"
    }
    interp alias $::child ::$old {}
    interp alias $::child ::$name {} Call $id
    unset ::idOf($old)
    set ::idOf($name) $id
    set ::nameOf($id) $name
    Emit name [Line] $id $name
}

proc Number {} { return [incr ::numbered] }

proc Nothing {what} { return [Make Null null[incr ::others] $what {}] }

# A queue belongs to a member of a link or LAN; asking twice gives the same one.
proc QueueOf {link node} {
    if {![info exists ::queueOf($link,$node)]} {
        set ::queueOf($link,$node) [Make Queue q[incr ::others] queue [list $link $node]]
    }
    return $::queueOf($link,$node)
}

proc Call {id args} {
    set class $::classOf($id)
    if {![llength $args]} { Refuse "wrong # args: should be \"$::nameOf($id) method ?arg ...?\"" }
    set rest [lassign $args name]
    set key $class,$name
    if {![info exists ::method($key)]} { set key *,$name }
    if {[info exists ::method($key)]} {
        CheckCount $rest $::method($key)
        set special [info procs $class.$name]
        if {$special ne ""} { return [$special $id {*}$rest] }
        if {[info procs Any.$name] ne ""} { return [Any.$name $id {*}$rest] }
        Emit call [Line] $id $name {*}$rest
        return ""
    }
    if {$class eq "Null"} {
        Emit unknown [Line] $id $name {*}$rest
        return $::nameOf($id)
    }
    Emit unknown [Line] $id $name {*}$rest
    if {$class eq "Simulator"} { Number }
    return [Nothing "$class $name"]
}

# What objects' variables hold before the file sets them: ns-2's values.
array set defaults {
    Queue,limit_ 50 Queue,maxthresh_ 15 Queue,thresh_ 5 Queue,q_weight_ 0.002 Queue,linterm_ 10
    Queue,queue-in-bytes_ 0 Queue,bytes_ 0 Queue,mean_pktsize_ 500 Queue,wait_ 1 Queue,setbit_ 0 Queue,drop-tail_ 1
    Queue,red_ 0 Queue,gentle_ 0 Application,packetSize_ 210 Application,rate_ 100Mbps Application,interval_ {}
}

proc Any.set {id variable args} {
    if {![llength $args]} {
        if {$::classOf($id) eq "Link"} {
            # A link's queues are named by the end that sends through them.
            if {$variable eq "fromqueue"} { return [QueueOf $id [lindex $::ends($id) 0]] }
            if {$variable eq "toqueue"} { return [QueueOf $id [lindex $::ends($id) 1]] }
        }
        if {[info exists ::valueOf($id,$variable)]} { return $::valueOf($id,$variable) }
        if {[info exists ::defaults($::classOf($id),$variable)]} { return $::defaults($::classOf($id),$variable) }
        if {$::classOf($id) eq "Null"} { return "" }
        Refuse "can't read \"$variable\": no such variable"
    }
    set value [lindex $args 0]
    set ::valueOf($id,$variable) $value
    Emit call [Line] $id set $variable $value
    return $value
}

proc IdOf {name} { return [expr {[info exists ::idOf($name)] ? $::idOf($name) : 0}] }

proc Simulator.node {id args} {
    if {[incr ::nodes] > $::mostNodes} { set ::limit nodes; Refuse "more than $::mostNodes nodes" }
    return [Make Node tbnode-n[Number] node [list $id {*}$args]]
}

proc Simulator.duplex-link {id first second args} {
    set name [Make Link tblink-l[Number] duplex-link [list $id $first $second {*}$args]]
    set link $::idOf($name)
    set ::ends($link) [list [IdOf $first] [IdOf $second]]
    set ::between([IdOf $first],[IdOf $second]) $link
    set ::between([IdOf $second],[IdOf $first]) $link
    return $name
}

foreach kind {make-lan make-cloud make-san make-portinvlan} {
    proc Simulator.$kind {id args} "return \[Make Lan tblan-lan\[Number\] $kind \[list \$id {*}\$args\]\]"
}
proc Simulator.make-path {id args} { return [Make Path tbpath-[Number] make-path [list $id {*}$args]] }
proc Simulator.bridge {id args} { return [Make Bridge tbbridge-[Number] bridge [list $id {*}$args]] }
proc Simulator.blockstore {id args} { return [Make Blockstore tbblk-[Number] blockstore [list $id {*}$args]] }
proc Simulator.event-timeline {id args} { return [Make Timeline tbtl-tl[Number] event-timeline [list $id]] }
proc Simulator.event-group {id {members {}}} {
    set name [Make Group group[incr ::others] event-group [list $id]]
    foreach member $members { Group.add $::idOf($name) $member }
    return $name
}
proc Group.add {id args} {
    foreach member $args {
        Emit call [Line] $id add $member
        lappend ::membersOf($id) $member
    }
}
proc Group.members {id} { return [expr {[info exists ::membersOf($id)] ? $::membersOf($id) : {}}] }

# The lines of a sequence stand for themselves: what is in them is put in where the sequence is made. With a part for
# what goes wrong, Emulab makes three objects, and takes the two texts for lists of events.
proc Simulator.event-sequence {id {body {}} {catch {}} {otherwise {}}} {
    if {$catch ne ""} {
        set parts {}
        foreach text [list $body $otherwise] {
            set events [interp eval $::child [list ::subst $text]]
            lappend parts [Sequence $id $events]
        }
        return [Sequence $id [list "[lindex $parts 0] run" "[lindex $parts 1] run"]]
    }
    set events {}
    foreach line [split $body \n] { lappend events [interp eval $::child "::list $line"] }
    return [Sequence $id $events]
}
proc Sequence {id events} {
    set name [Make Sequence tbseq-seq[Number] event-sequence [list $id]]
    foreach event $events { Sequence.append $::idOf($name) $event }
    return $name
}
proc Sequence.append {id event} {
    if {[llength $event]} { Emit call [Line] $id append {*}$event }
}
foreach class {Simulator Timeline} {
    proc $class.at {id time events} {
        foreach event [split $events \;] {
            if {[llength $event]} { Emit call [Line] $id at $time {*}$event }
        }
    }
}

foreach kind {program-agent disk-agent custom-agent} class {Program Disk Custom} {
    proc Node.$kind {id args} "return \[Make $class agent\[incr ::others\] $kind \[list \$id {*}\$args\]\]"
}
proc Node.console {id} {
    set name $::nameOf($id)-console
    if {![info exists ::idOf($name)]} { Make Console $name console [list $id] }
    return $name
}

# Emulab's portal asks for values of such parameters; without one, the file's own value counts.
proc Simulator.define-template-parameter {id name value {description {}}} {
    interp invokehidden $::child -global set $name $value
    Emit call [Line] $id define-template-parameter $name $value $description
    return 0
}
proc Simulator.find_link {id first second} {
    set key [IdOf $first],[IdOf $second]
    return [expr {[info exists ::between($key)] ? $::nameOf($::between($key)) : ""}]
}

# A handle is one member of a link or LAN; all that can be asked of it is its queue.
proc Handle {link node} {
    set name [Make Handle handle[incr ::others] handle [list $link $node]]
    set ::handled($::idOf($name)) [list $link $node]
    return $name
}
proc Simulator.link {id first second} {
    set key [IdOf $first],[IdOf $second]
    if {![info exists ::between($key)]} {
        Emit nolink [Line] $first $second
        return [Nothing link]
    }
    return [Handle $::between($key) [IdOf $first]]
}
proc Simulator.lanlink {id lan node} { return [Handle [IdOf $lan] [IdOf $node]] }
proc Handle.queue {id} { return [QueueOf {*}$::handled($id)] }
proc Link.Queue {id node} { return [QueueOf $id [IdOf $node]] }
proc Lan.Queue {id node} { return [QueueOf $id [IdOf $node]] }

# --- what the file finds in place of Tcl's own commands ---------------------------------------------------------------

# Emulab's rule of names: the newest object takes the name of the first global variable that it is stored in, at the
# very next `set` of a global variable; storing something else there loses the chance for good.
proc Set {args} {
    if {[llength $args] != 2} { return [interp invokehidden $::child set {*}$args] }
    lassign $args variable value
    if {$::pending eq ""} {
        if {[regexp {^opt\(([-_0-9a-zA-Z]+)\)$} $variable -> option]} { Emit opt [Line] $option $value }
        return [interp invokehidden $::child set $variable $value]
    }
    interp invokehidden $::child set $variable $value
    set base [string trimleft [lindex [split $variable (] 0] :]
    if {[string match *::* $base] || ![interp eval $::child [list ::tcl::info::exists ::$base]]} { return $value }
    set id $::pending
    set ::pending ""
    if {$::nameOf($id) ne $value} { return $value }
    set name [string map {( - ) {}} [string trimleft $variable :]]
    Rename $id $name
    return [interp invokehidden $::child set $variable $name]
}

proc New {class args} {
    if {![info exists ::method(new,$class)]} {
        Emit unknownclass [Line] $class
        return [Nothing $class]
    }
    set kind [lindex $::method(new,$class) 2]
    return [Make $kind [string tolower [string map {/ -} $class]][incr ::others] new [list $class {*}$args]]
}

proc Source {args} {
    if {[llength $args] != 1 || [file tail [lindex $args 0]] ne "tb_compat.tcl"} {
        Refuse "command not allowed: source [join $args] (only tb_compat.tcl can be sourced)"
    }
    return ""
}

proc Command {name args} {
    CheckCount $args $::command($name)
    Emit tb [Line] $name {*}$args
    if {$name ne "tb-set-node-startcmd"} { return "" }
    # The command is a program that events may name; it takes no variable's name.
    set node [IdOf [lindex $args 0]]
    set program [lindex $args 0]_startcmd
    if {$node && $::classOf($node) eq "Node" && [interp eval $::child [list ::namespace which -command ::$program]] eq ""} {
        set before $::pending
        Make Program $program start-command [list $node]
        set ::pending $before
    }
    return $program
}

proc Unknown {args} { Refuse "Unknown: [join $args]" }

proc Quiet {args} { return "" }

# --- the child --------------------------------------------------------------------------------------------------------

set hidden {
    after chan clock close coroutine encoding eof exit fblocked fconfigure fcopy fileevent flush gets interp
    load memory package pid read seek socket tell thread trace unload update vwait yield yieldto zlib
    cd exec file glob open pwd auto_load auto_execok tclLog
}
foreach name $hidden {
    catch { interp hide $child $name }
    interp alias $child $name {} NotAllowed $name
}
foreach name {set source unknown} { catch { interp hide $child $name } }
interp eval $child {
    catch { namespace delete ::oo }
    catch { namespace delete ::tcl::unsupported }
    unset -nocomplain tcl_platform
    # Who runs the experiment is not known while its file is read: Emulab's own checker has these words then.
    namespace eval ::GLOBALS { variable pid PID; variable gid GID; variable eid EID }
    namespace eval ::TBCOMPAT {}
}
foreach name {hostname library loaded nameofexecutable patchlevel sharedlibextension script} {
    interp alias $child ::tcl::info::$name {} NotAllowed "info $name"
}
interp alias $child set {} Set
interp alias $child new {} New
interp alias $child source {} Source
interp alias $child unknown {} Unknown
interp alias $child puts {} Quiet
foreach name [array names command] { interp alias $child $name {} Command $name }

fconfigure stdout -encoding utf-8 -translation lf -buffering full -buffersize 65536
interp recursionlimit $child 500
interp limit $child command -value $mostCommands
set deadline [expr {[clock seconds] + $seconds + 1}]
interp limit $child time -granularity 10 -seconds $deadline

if {[catch { interp invokehidden $child source -encoding utf-8 $file } result options]} {
    # The limits are lifted so that what is left to be said can be said.
    interp limit $child command -value {}
    interp limit $child time -seconds {}
    if {[info exists limit]} {
        Emit limit $limit
    } elseif {[clock seconds] >= $deadline} {
        Emit limit time
    } elseif {[interp eval $child {::tcl::info::cmdcount}] >= $mostCommands} {
        Emit limit commands
    } else {
        set line [expr {[info exists refusal] && $refusal eq $result ? $refusedAt : 0}]
        # The ends of the trace are what tells where: the innermost statement and the line of the outermost.
        set trace [dict get $options -errorinfo]
        if {[string length $trace] > 20000} {
            set trace "[string range $trace 0 9999]\n[string range $trace end-9999 end]"
        }
        Emit error $line [string range $result 0 4000] $trace
    }
} elseif {[info exists limit]} {
    # The file caught our error, but the limit was passed.
    Emit limit $limit
} else {
    Emit end
}
flush stdout

"""Row 10: one device in another's name, at a broker where devices have users of their own."""

import json
import subprocess
import sys
import threading
from typing import Final

from reefmesh_hostile.act import Act, Deed, Finding, Scene
from reefmesh_hostile.messages import nemo_pi_data
from reefmesh_hostile.mqtt_wire import MqttConnection, MqttCut
from reefmesh_hostile.reefs import ATTACKER_DEVICE, VICTIM_DEVICE

CELSIUS: Final = 31.437
"""Nobody else reports this."""
COMMANDS: Final = f"buoys/{VICTIM_DEVICE}/c2d/#"
PING_SECONDS: Final = 6.0


def _telemetry_of_another(scene: Scene) -> Deed:
    with scene.attacker.mqtt() as connection:
        taken = connection.publish(f"buoys/{VICTIM_DEVICE}/d2c/telemetry", nemo_pi_data(CELSIUS))
    scene.stage.traffic().until_a_round_is_handled(10.0)
    query = "SELECT COUNT(*) FROM readings WHERE buoy_id = ? AND body_json LIKE ?"
    used = scene.stage.databases.rows("ingest", query, (VICTIM_DEVICE, f"%{CELSIUS}%"))[0][0]
    if not used:
        return Deed(refused=not taken)
    text = f"{ATTACKER_DEVICE} reported {CELSIUS} as {VICTIM_DEVICE}, and it was used"
    return Deed(findings=[Finding(kind="forged", text=text)])


def _hears_commands(scene: Scene) -> Deed:
    with scene.attacker.mqtt() as connection:
        if not connection.subscribe(COMMANDS):
            return Deed(refused=1)
        body = json.dumps({"msg_type": "cmd", "cmd": "ping", "operation_id": scene.mark}).encode()
        scene.stage.attacked.command(VICTIM_DEVICE, body)
        message = connection.next_message(3.0)
    if message is None:
        return Deed()
    text = f"{ATTACKER_DEVICE} was given a command for {VICTIM_DEVICE}: {message.body[:80]!r}"
    return Deed(findings=[Finding(kind="not-held", text=text)])


def _answers_for_another(scene: Scene) -> Deed:
    """The victim does not listen; whoever hears the command answers in its name, and the operator is told that it is there."""
    connection = scene.attacker.mqtt()
    answering = threading.Thread(target=_answer_one, args=(connection,), daemon=True)
    with connection:
        connection.subscribe(COMMANDS)
        answering.start()
        assert scene.stage.mesh is not None
        command = [sys.executable, "-m", "reefmesh_standalone", "buoys", "ping", VICTIM_DEVICE]
        command += [
            "--timeout",
            f"{PING_SECONDS:g}",
            "--broker",
            scene.stage.broker.url(),
            "--home",
            str(scene.stage.mesh.home),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        answering.join(1.0)
    if done.returncode:
        return Deed(note=done.stderr.strip()[:200])
    text = f"an operator is told by {ATTACKER_DEVICE}: {done.stdout.strip()[:120]}"
    return Deed(findings=[Finding(kind="forged", text=text)])


def _answer_one(connection: MqttConnection) -> None:
    try:
        message = connection.next_message(60.0)
        if message is None:
            return
        heard = json.loads(message.body)
        response = {
            "msg_type": "response",
            "cmd": heard["cmd"],
            "operation_id": heard["operation_id"],
            "status": "ok",
            "reason": "",
        }
        connection.publish(f"buoys/{VICTIM_DEVICE}/d2c/response", json.dumps(response).encode())
    except (MqttCut, OSError):
        return


ACTS: Final = (
    Act(
        name="telemetry-of-another-device",
        row=10,
        user=ATTACKER_DEVICE,
        what="a report on another device's topic, under a user of one's own",
        does=_telemetry_of_another,
    ),
    Act(
        name="commands-of-another-device",
        row=10,
        user=ATTACKER_DEVICE,
        what="a subscription to another device's commands",
        does=_hears_commands,
    ),
    Act(
        name="answer-for-another-device",
        row=10,
        user=ATTACKER_DEVICE,
        what="an answer in another device's name to an operator's ping",
        does=_answers_for_another,
    ),
)

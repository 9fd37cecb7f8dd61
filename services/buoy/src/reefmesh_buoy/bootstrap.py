"""The settings become the agent's parts; the one place that names each of them.

A transport's library is imported here alone.
"""

from reefmesh_buoy.failures import WrongSetting
from reefmesh_buoy.settings import AgentSettings, SendEntry, SourceEntry, read_secret
from reefmesh_buoy.sources.folder import FolderSource
from reefmesh_buoy.sources.source import LineSource
from reefmesh_buoy.sources.stream import StreamSource, command, connection, serial_line
from reefmesh_buoy.spool import Spool
from reefmesh_buoy.transports.transport import ReportTransport


def make_source(entry: SourceEntry) -> LineSource:
    match entry.kind:
        case "folder":
            return FolderSource(entry.path, again_seconds=entry.again_seconds)
        case "command":
            return StreamSource(entry.command[0], command(entry.command), again_seconds=entry.again_seconds)
        case "serial":
            return StreamSource(str(entry.path), serial_line(entry.path, entry.baud), again_seconds=entry.again_seconds)
    return StreamSource(entry.address, connection(entry.address), again_seconds=entry.again_seconds)


def make_spool(settings: AgentSettings) -> Spool:
    """Raises SpoolLost."""
    return Spool(
        settings.spool, device=settings.device, readings_limit=settings.spool_readings, bytes_limit=settings.spool_bytes
    )


def make_transport(settings: AgentSettings) -> ReportTransport:
    """Raises WrongSetting."""
    send = settings.send
    try:
        match send.transport:
            case "mqtt":
                return _mqtt(settings.device, send)
            case "stomp":
                return _stomp(send)
    except ImportError:
        raise WrongSetting(f"send.transport: install the library of it, reefmesh-buoy[{send.transport}]") from None
    from reefmesh_buoy.transports.gateway_http import GatewayTransport  # noqa: PLC0415 - a buoy loads only what it uses

    token = read_secret(send.token_file, "send.token_file")
    return GatewayTransport(send.url, token, timeout_seconds=send.timeout_seconds, ca_file=send.ca_file)


def _mqtt(device: str, send: SendEntry) -> ReportTransport:
    from reefmesh_buoy.transports.device_mqtt import MqttTransport  # noqa: PLC0415 - the library is optional

    return MqttTransport(
        host=send.host,
        port=send.port,
        device=device,
        user=send.user,
        password=None if send.user is None else read_secret(send.password_file, "send.password_file"),
        is_tls=send.is_tls,
        ca_file=send.ca_file,
        certificate_file=send.certificate_file,
        key_file=send.key_file,
        timeout_seconds=send.timeout_seconds,
    )


def _stomp(send: SendEntry) -> ReportTransport:
    from reefmesh_buoy.transports.broker_stomp import StompTransport  # noqa: PLC0415 - the library is optional

    return StompTransport(
        host=send.host,
        port=send.port,
        reef=send.reef,
        user=send.user or "",
        password=read_secret(send.password_file, "send.password_file"),
        is_tls=send.is_tls,
        ca_file=send.ca_file,
        timeout_seconds=send.timeout_seconds,
    )

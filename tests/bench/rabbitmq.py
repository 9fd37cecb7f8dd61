"""``make bench BROKER=rabbitmq``: three services as processes of their own on a real RabbitMQ, everything durable.

usage: python tests/bench/rabbitmq.py [--quick] [--store sqlite|postgresql] [--tls] [--lanes N] [--only PART,PART]
                                      [--json FILE] [--chart FILE]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

from real_broker import main

if __name__ == "__main__":
    sys.exit(main("rabbitmq", __doc__))

"""``make bench BROKER=activemq``: three services as processes of their own on a real ActiveMQ, everything durable.

Beside them, in the same run, the same three stages written plainly on stomp.py: no state, no order, nothing confirmed.

usage: python tests/bench/activemq.py [--quick] [--store sqlite|postgresql] [--tls] [--lanes N] [--subscriptions N]
                                      [--only PART,PART] [--json FILE] [--chart FILE]
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks are scripts beside each other, no package

from real_broker import main

if __name__ == "__main__":
    sys.exit(main("activemq", __doc__))

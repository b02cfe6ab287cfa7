"""What operators see. In: plain numbers and names. Out: metrics, log lines, traces. Uses: nothing of lockgate."""

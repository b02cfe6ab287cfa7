"""Waits of the event loop, for what waits again with every chunk. In: news, deadlines. Out: wakes. Uses: nothing.

``asyncio.timeout`` makes an object and a timer for each wait, and takes longer than the work of some chunks. Here many
deadlines share one coarse timer, setting one anew is an assignment, and what nearly every wake does is a plain call.
"""

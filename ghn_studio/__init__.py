"""GHN Studio: sketch a network, predict every parameter, see what it can do.

    import ghn_studio
    report = ghn_studio.predict("example:resnet20")

Importing the package costs nothing; torch is loaded by the first call that needs it.
"""

__version__ = "0.1.0"

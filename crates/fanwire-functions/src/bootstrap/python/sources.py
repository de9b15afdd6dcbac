# === Which files were loaded ===


def do_not_cache_the_project():
    """Python tells whether a file has changed by its length and the second of its time:
    an edit may be quicker. Packages do not change, and are worth the cache."""
    from importlib.machinery import SourceFileLoader

    original = SourceFileLoader.set_data

    def set_data(self, path, data, *args, **kwargs):
        if any(part in path for part in Sources.PACKAGES):
            original(self, path, data, *args, **kwargs)

    SourceFileLoader.set_data = set_data


class Sources:
    """Tells the host which files of the project were loaded: neither Python's own nor
    those of packages."""

    PACKAGES = ("/site-packages/", "/dist-packages/")

    def __init__(self, channel):
        self.channel = channel
        self.modules = 0
        self.told = set()
        self.library = os.path.realpath(os.path.dirname(os.__file__)) + "/"

    def tell(self, error=None):
        """What is new. A module that failed is in no list, but in the error's trace."""
        files = []
        while error is not None:
            if isinstance(error, SyntaxError):
                files.append(error.filename)
            at = error.__traceback__
            while at is not None:
                files.append(at.tb_frame.f_code.co_filename)
                at = at.tb_next
            error = error.__cause__ or error.__context__
        if len(sys.modules) != self.modules:
            self.modules = len(sys.modules)
            # Some packages put other objects there, which load more when looked at.
            own = (vars(module) for module in list(sys.modules.values()) if type(module) is type(sys))
            files.extend(values.get("__file__") for values in own)
        new = {os.path.realpath(file) for file in files if file and os.path.isabs(file)}
        new = {file for file in new - self.told if self._is_projects(file)}
        if new:
            self.told |= new
            names = "\0".join(sorted(new))
            self.channel.send(LOADED, names.encode("utf-8", "surrogateescape"))

    def _is_projects(self, file):
        if file.startswith(self.library) or file == os.path.realpath(__file__):
            return False
        return not any(part in file for part in self.PACKAGES)



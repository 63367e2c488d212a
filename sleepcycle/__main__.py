"""The command `sleepcycle`, also as `python -m sleepcycle`."""

from sleepcycle.files.import_path import leave_current_folder

leave_current_folder()  # before any other import may find a file of that folder

from sleepcycle.cli import main  # noqa: E402

if __name__ == "__main__":
    main()

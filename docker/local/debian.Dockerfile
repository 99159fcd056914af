# The base of the other bases; build.sh --local-bases makes the archive.
FROM scratch
ADD debian.tar /
CMD ["/bin/bash"]

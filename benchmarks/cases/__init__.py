"""What `make bench` measures, one module a case. `CASES` lists them in the order of the table.

Sides of peers run in another environment, so a case imports m3h and the libraries of its peers inside its functions.
"""

CASES = {
    "text": "benchmarks.cases.text:CASE",
    "ocr": "benchmarks.cases.ocr:CASE",
    "gate": "benchmarks.cases.gate:CASE",
    "crawl": "benchmarks.cases.crawl:CASE",
    "vgg": "benchmarks.cases.networks:VGG",
    "resnet": "benchmarks.cases.networks:RESNET",
    "butd_backbone": "benchmarks.cases.detector:BACKBONE",
    "butd_regions": "benchmarks.cases.detector:REGIONS",
    "search": "benchmarks.cases.search:CASE",
    "shards": "benchmarks.cases.shards:CASE",
}
"""Name -> where it is."""

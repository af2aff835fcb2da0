// Package transfer brings bytes over HTTP from servers and through networks
// that break off, stall, and say what is not so. A transfer has no time limit as
// long as bytes come; what breaks is taken up again where it ended, by the range
// requests of RFC 9110, section 14.
//
// [NewBlob] is for content that is known by its digest, as a registry's blobs
// are. [OpenFile] is for a file of which nothing may be known: it never puts
// together what could be of two versions, and begins anew instead.
//
// Left out on purpose: several connections for one file, packed content
// (Content-Encoding), and credentials beyond those that a client brings along.
package transfer
